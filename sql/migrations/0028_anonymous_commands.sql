-- Where a site lets callers read who do not say who they are, the command line reads too (KW_URL without a token). Beside
-- the views of 0018 it asks who collects and since when: that is told to all who may read, and so to them.

-- Told to everybody who may read anything: nothing of devices, jobs or users.
CREATE FUNCTION kw.told_tables() RETURNS SETOF text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  VALUES ('collectors'), ('past_runs'), ('collector_runs'), ('collector_losses'), ('job_sources'), ('node_names')
$$;

ALTER FUNCTION kw.rights_problems() RENAME TO scope_problems;
ALTER FUNCTION kw.apply_rights() RENAME TO apply_scope;

-- What is not as the settings read_scope and anonymous_read say: one sentence each. Empty is as it should be.
CREATE FUNCTION kw.rights_problems() RETURNS SETOF text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  anonymous boolean := (SELECT s.value = 'true' FROM kw.settings s WHERE s.name = 'anonymous_read');
BEGIN
  RETURN QUERY SELECT * FROM kw.scope_problems();
  RETURN QUERY
  SELECT 'kw_anon may' || CASE WHEN anonymous THEN ' not' ELSE '' END || ' read kw.' || t
  FROM kw.told_tables() t WHERE has_table_privilege('kw_anon', 'kw.' || t, 'SELECT') <> anonymous;
END
$$;

-- Makes views and rights what the settings say. Waits for nobody who reads for long.
CREATE FUNCTION kw.apply_rights() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '5s' AS $$
DECLARE
  anonymous boolean := (SELECT s.value = 'true' FROM kw.settings s WHERE s.name = 'anonymous_read');
  told text;
BEGIN
  IF NOT EXISTS (SELECT FROM kw.rights_problems()) THEN
    RETURN;
  END IF;
  PERFORM kw.apply_scope();
  FOR told IN SELECT * FROM kw.told_tables() LOOP
    EXECUTE format('%s SELECT ON kw.%I %s kw_anon', CASE WHEN anonymous THEN 'GRANT' ELSE 'REVOKE' END, told,
      CASE WHEN anonymous THEN 'TO' ELSE 'FROM' END);
  END LOOP;
END
$$;

REVOKE ALL ON FUNCTION kw.told_tables, kw.scope_problems, kw.apply_scope, kw.rights_problems, kw.apply_rights FROM PUBLIC;
REVOKE ALL ON FUNCTION kw.scope_problems FROM kw_reader;
GRANT EXECUTE ON FUNCTION kw.rights_problems TO kw_reader;

-- Views call these as whoever reads them: two settings, which everybody may read, and the name of a device for a node.
GRANT EXECUTE ON FUNCTION kw.setting_interval, kw.raw_dropped_before, kw.device_of_node TO kw_anon;
SELECT kw.apply_rights();
