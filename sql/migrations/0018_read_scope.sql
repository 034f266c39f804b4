-- What users see: everything, or with the setting read_scope = own_jobs only the nodes of their own jobs, while they had
-- them. TimescaleDB refuses row security on a table with compression, so it is decided in views, one for each table that
-- tells of devices or jobs; whoever reads for users reads these. Each has two forms. As long as everybody sees
-- everything they are nothing but the table, and plans are as if it were named. With own_jobs they filter by the caller
-- behind a security barrier (or else a function of a user, called in a condition, would be shown what is filtered
-- out), and the tables themselves are closed to kw_reader and kw_writer.

-- Whether the caller sees everything: everybody who is known (and who is not, if the site says
-- so), or programs of the site, schedulers and admins.
CREATE FUNCTION kw.sees_all() RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
RETURN (SELECT s.value = '"all"' FROM kw.settings s WHERE s.name = 'read_scope')
    AND (coalesce(kw.caller_role() <> 'kw_anon', false)
      OR (SELECT s.value = 'true' FROM kw.settings s WHERE s.name = 'anonymous_read'))
  OR kw.is_service() OR kw.is_scheduler();
REVOKE ALL ON FUNCTION kw.sees_all FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kw.sees_all TO kw_anon, kw_reader, kw_writer, kw_scheduler;

-- The nodes that the caller had, and when, bounds included: each time once, where jobs overlap. A job that nobody
-- ended gives no rights for ever.
CREATE VIEW kw.own_node_times AS
SELECT n.node, lower(r.times) AS first, upper(r.times) AS last
FROM (
  SELECT node, range_agg(tstzrange(start_time,
    greatest(start_time, coalesce(stop_time, start_time + kw.setting_interval('job_max_age'))), '[]')) AS times
  FROM kw.nodetime_local
  WHERE owner = (SELECT kw.caller_name())
  GROUP BY node
) n
CROSS JOIN LATERAL unnest(n.times) AS r (times);

CREATE TABLE kw.scoped_views (
  place int PRIMARY KEY,
  name text NOT NULL UNIQUE,
  -- What it selects when users see everything.
  everything text NOT NULL,
  -- What it selects when they see their own jobs.
  own_jobs text NOT NULL,
  -- Whether kw_scheduler needs it for jobs and promotions; it reads no metrics.
  of_scheduler boolean NOT NULL DEFAULT false,
  -- What it is now, as PostgreSQL prints it: kw db doctor compares.
  printed text
);

INSERT INTO kw.scoped_views (place, name, everything, own_jobs) VALUES
(1, 'metrics_visible', $all$
  SELECT timestamp, device_id, metric_id, value, labels, labels ->> '_device_alias' AS device_alias
  FROM kw.metrics
$all$, $own$
  SELECT timestamp, device_id, metric_id, value, labels, labels ->> '_device_alias' AS device_alias
  FROM kw.metrics
  WHERE (SELECT kw.sees_all())
  UNION ALL
  SELECT m.timestamp, m.device_id, m.metric_id, m.value, m.labels, m.device_alias
  FROM kw.own_node_times j
  CROSS JOIN LATERAL (
    SELECT timestamp, device_id, metric_id, value, labels, labels ->> '_device_alias' AS device_alias
    FROM kw.metrics
    WHERE device_id = j.node AND timestamp >= j.first AND timestamp <= j.last
    UNION ALL
    SELECT a.timestamp, a.device_id, a.metric_id, a.value, a.labels, a.labels ->> '_device_alias'
    FROM kw.metrics a
    WHERE a.labels ->> '_device_alias' = j.node AND a.timestamp >= j.first AND a.timestamp <= j.last
      -- That one was there already.
      AND NOT EXISTS (
        SELECT FROM kw.own_node_times o
        WHERE o.node = a.device_id AND a.timestamp >= o.first AND a.timestamp <= o.last)
  ) m
  WHERE NOT (SELECT kw.sees_all())
$own$),
-- Buckets that lie within the times only: others hold values of before or after.
(2, 'summary_visible', $all$
  SELECT bucket, device_id, metric_id, labels, value, min, max, count, count_not_finite, device_alias
  FROM kw.metrics_summary
$all$, $own$
  SELECT s.bucket, s.device_id, s.metric_id, s.labels, s.value, s.min, s.max, s.count, s.count_not_finite, s.device_alias
  FROM kw.metrics_summary s
  WHERE (SELECT kw.sees_all()) OR EXISTS (
    SELECT FROM kw.own_node_times j
    WHERE j.node IN (s.device_id, s.device_alias)
      AND s.bucket >= j.first AND s.bucket + interval '5 minutes' <= j.last)
$own$),
(3, 'nodetime_visible', $all$
  SELECT job_id, start_time, stop_time, node, owner, state, source FROM kw.nodetime_by_job
$all$, $own$
  SELECT job_id, start_time, stop_time, node, owner, state, source FROM kw.nodetime_by_job
  WHERE (SELECT kw.sees_all()) OR owner = (SELECT kw.caller_name())
$own$),
-- Of what is known here only: no foreign server is asked.
(12, 'local_nodetime_visible', $all$
  SELECT job_id, start_time, stop_time, node, owner, state, source FROM kw.nodetime_local
$all$, $own$
  SELECT job_id, start_time, stop_time, node, owner, state, source FROM kw.nodetime_local
  WHERE (SELECT kw.sees_all()) OR owner = (SELECT kw.caller_name())
$own$),
(4, 'jobs_visible', $all$
  SELECT source, job_id, name_id, owner, state, submitted, started, stopped, comment FROM kw.jobs
$all$, $own$
  SELECT source, job_id, name_id, owner, state, submitted, started, stopped, comment FROM kw.jobs
  WHERE (SELECT kw.sees_all()) OR owner = (SELECT kw.caller_name())
$own$),
(5, 'promotions_visible', $all$
  SELECT id, device_id, metric_id, job_id, source, owner, enabled_at, expires_at, origin FROM kw.promoted_metrics
$all$, $own$
  SELECT id, device_id, metric_id, job_id, source, owner, enabled_at, expires_at, origin FROM kw.promoted_metrics
  WHERE (SELECT kw.sees_all()) OR owner = (SELECT kw.caller_name())
    OR device_id IN (SELECT j.node FROM kw.own_node_times j WHERE j.first <= now() AND j.last > now())
$own$),
(6, 'catalogue_visible', $all$
  SELECT collector_id, device_id, metric_id, alias, period_ms, optional, optional_period_ms, protocol, unit, description,
    seen_at, entry_name, since
  FROM kw.metric_catalogue
$all$, $own$
  SELECT collector_id, device_id, metric_id, alias, period_ms, optional, optional_period_ms, protocol, unit, description,
    seen_at, entry_name, since
  FROM kw.metric_catalogue
  WHERE (SELECT kw.sees_all()) OR device_id IN (SELECT node FROM kw.own_node_times)
    OR alias IN (SELECT node FROM kw.own_node_times)
$own$),
(7, 'past_catalogue_visible', $all$
  SELECT collector_id, device_id, metric_id, alias, optional, protocol, since, until FROM kw.metric_catalogue_past
$all$, $own$
  SELECT collector_id, device_id, metric_id, alias, optional, protocol, since, until FROM kw.metric_catalogue_past
  WHERE (SELECT kw.sees_all()) OR device_id IN (SELECT node FROM kw.own_node_times)
    OR alias IN (SELECT node FROM kw.own_node_times)
$own$),
(8, 'device_status_visible', $all$
  SELECT collector_id, device_id, protocol, up, last_poll_at, last_up_at, poll_ms, period_ms, polls, missed, errors, last_error
  FROM kw.device_status
$all$, $own$
  SELECT s.collector_id, s.device_id, s.protocol, s.up, s.last_poll_at, s.last_up_at, s.poll_ms, s.period_ms, s.polls,
    s.missed, s.errors, s.last_error
  FROM kw.device_status s
  WHERE (SELECT kw.sees_all()) OR s.device_id IN (
    SELECT node FROM kw.own_node_times
    UNION ALL
    SELECT c.device_id FROM kw.metric_catalogue c JOIN kw.own_node_times j ON j.node = c.alias)
$own$),
(9, 'metrics_by_device', $all$
  SELECT timestamp, device_id, metric_id, value, labels - '_device_alias' AS labels
  FROM kw.metrics
  UNION ALL
  SELECT timestamp, labels ->> '_device_alias' AS device_id, metric_id, sum(value) AS value,
    (labels - '_device_alias') || jsonb_build_object('_device_orig', array_agg(device_id ORDER BY device_id)) AS labels
  FROM kw.metrics
  WHERE labels ->> '_device_alias' IS NOT NULL
  GROUP BY timestamp, metric_id, labels
$all$, $own$
  SELECT timestamp, device_id, metric_id, value, labels - '_device_alias' AS labels
  FROM kw.metrics_visible
  UNION ALL
  SELECT timestamp, labels ->> '_device_alias' AS device_id, metric_id, sum(value) AS value,
    (labels - '_device_alias') || jsonb_build_object('_device_orig', array_agg(device_id ORDER BY device_id)) AS labels
  FROM kw.metrics
  WHERE labels ->> '_device_alias' IS NOT NULL AND (SELECT kw.sees_all())
  GROUP BY timestamp, metric_id, labels
  UNION ALL
  SELECT m.timestamp, j.node, m.metric_id, m.value, m.labels
  FROM kw.own_node_times j
  CROSS JOIN LATERAL (
    SELECT timestamp, metric_id, sum(value) AS value,
      (labels - '_device_alias') || jsonb_build_object('_device_orig', array_agg(device_id ORDER BY device_id)) AS labels
    FROM kw.metrics
    WHERE labels ->> '_device_alias' = j.node AND timestamp >= j.first AND timestamp <= j.last
    GROUP BY timestamp, metric_id, metrics.labels
  ) m
  WHERE NOT (SELECT kw.sees_all())
$own$),
(10, 'metrics_by_job', $all$
  SELECT m.timestamp, m.device_id, m.metric_id, m.value, m.labels, j.start_time, j.stop_time, j.job_id, j.source
  FROM kw.nodetime_by_job j
  CROSS JOIN LATERAL (
    SELECT timestamp, device_id, metric_id, value, labels - '_device_alias' AS labels
    FROM kw.metrics
    WHERE device_id = j.node
      AND timestamp >= j.start_time AND timestamp <= coalesce(j.stop_time, 'infinity')
    UNION ALL
    SELECT timestamp, j.node, metric_id, sum(value),
      (labels - '_device_alias') || jsonb_build_object('_device_orig', array_agg(device_id ORDER BY device_id))
    FROM kw.metrics
    WHERE labels ->> '_device_alias' = j.node
      AND timestamp >= j.start_time AND timestamp <= coalesce(j.stop_time, 'infinity')
    GROUP BY timestamp, metric_id, labels
  ) m
$all$, $own$
  SELECT m.timestamp, m.device_id, m.metric_id, m.value, m.labels, j.start_time, j.stop_time, j.job_id, j.source
  FROM (
    SELECT * FROM kw.nodetime_by_job n
    WHERE (SELECT kw.sees_all()) OR n.owner = (SELECT kw.caller_name())
      AND (n.stop_time IS NOT NULL OR n.start_time > now() - kw.setting_interval('job_max_age'))
  ) j
  CROSS JOIN LATERAL (
    SELECT timestamp, device_id, metric_id, value, labels - '_device_alias' AS labels
    FROM kw.metrics
    WHERE device_id = j.node
      AND timestamp >= j.start_time AND timestamp <= coalesce(j.stop_time, 'infinity')
    UNION ALL
    SELECT timestamp, j.node, metric_id, sum(value),
      (labels - '_device_alias') || jsonb_build_object('_device_orig', array_agg(device_id ORDER BY device_id))
    FROM kw.metrics
    WHERE labels ->> '_device_alias' = j.node
      AND timestamp >= j.start_time AND timestamp <= coalesce(j.stop_time, 'infinity')
    GROUP BY timestamp, metric_id, labels
  ) m
$own$),
(11, 'metrics_summary_by_device', $all$
  SELECT bucket, device_id, metric_id, labels - '_device_alias' AS labels, value, min, max, count, count_not_finite
  FROM kw.metrics_summary
  UNION ALL
  SELECT bucket, device_alias AS device_id, metric_id,
    (labels - '_device_alias') || jsonb_build_object('_device_orig', array_agg(device_id ORDER BY device_id)) AS labels,
    sum(value) AS value, sum(min) AS min, sum(max) AS max, sum(count)::bigint AS count,
    sum(count_not_finite)::bigint AS count_not_finite
  FROM kw.metrics_summary
  WHERE device_alias IS NOT NULL
  GROUP BY bucket, device_alias, metric_id, labels
$all$, $own$
  SELECT bucket, device_id, metric_id, labels - '_device_alias' AS labels, value, min, max, count, count_not_finite
  FROM kw.summary_visible
  UNION ALL
  SELECT s.bucket, s.device_alias AS device_id, s.metric_id,
    (s.labels - '_device_alias') || jsonb_build_object('_device_orig', array_agg(s.device_id ORDER BY s.device_id)) AS labels,
    sum(s.value) AS value, sum(s.min) AS min, sum(s.max) AS max, sum(s.count)::bigint AS count,
    sum(s.count_not_finite)::bigint AS count_not_finite
  FROM kw.metrics_summary s
  WHERE s.device_alias IS NOT NULL AND ((SELECT kw.sees_all()) OR EXISTS (
    SELECT FROM kw.own_node_times j
    WHERE j.node = s.device_alias AND s.bucket >= j.first AND s.bucket + interval '5 minutes' <= j.last))
  GROUP BY s.bucket, s.device_alias, s.metric_id, s.labels
$own$);
UPDATE kw.scoped_views SET of_scheduler = true
WHERE name IN ('nodetime_visible', 'local_nodetime_visible', 'jobs_visible', 'promotions_visible', 'catalogue_visible');

-- The tables behind the views. kw_reader reads them as long as users see everything, kw_writer some of them.
CREATE FUNCTION kw.closed_tables() RETURNS TABLE (name text, of_writer boolean)
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  VALUES ('metrics', false), ('metrics_summary', false), ('jobs', true), ('job_nodes', true), ('nodetime_by_job', true),
    ('nodetime_local', true), ('nodetime_now', true), ('promoted_metrics', true), ('metric_catalogue', true), ('metric_catalogue_past', false),
    ('device_status', false)
$$;

-- What is not as the settings read_scope and anonymous_read say: one sentence each. Empty is as it should be.
CREATE FUNCTION kw.rights_problems() RETURNS SETOF text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  own_jobs boolean := (SELECT s.value = '"own_jobs"' FROM kw.settings s WHERE s.name = 'read_scope');
  anonymous boolean := (SELECT s.value = 'true' FROM kw.settings s WHERE s.name = 'anonymous_read');
  one record;
BEGIN
  FOR one IN
    SELECT v.name, v.printed, v.of_scheduler, c.oid, coalesce(c.reloptions::text LIKE '%security_barrier=true%', false) AS barrier
    FROM kw.scoped_views v LEFT JOIN pg_class c ON c.oid = to_regclass('kw.' || v.name) ORDER BY v.place
  LOOP
    IF one.oid IS NULL THEN
      RETURN NEXT 'view kw.' || one.name || ' is missing';
    ELSIF one.barrier <> own_jobs OR pg_get_viewdef(one.oid) IS DISTINCT FROM one.printed THEN
      RETURN NEXT 'view kw.' || one.name || ' is changed';
    ELSE
      IF has_table_privilege('kw_anon', one.oid, 'SELECT') <> anonymous THEN
        RETURN NEXT 'kw_anon may' || CASE WHEN anonymous THEN ' not' ELSE '' END || ' read kw.' || one.name;
      END IF;
      RETURN QUERY SELECT r || ' may not read kw.' || one.name
      FROM unnest(ARRAY['kw_reader', 'kw_writer'] || CASE WHEN one.of_scheduler THEN '{kw_scheduler}' ELSE '{}' END::text[]) r
      WHERE NOT has_table_privilege(r, one.oid, 'SELECT');
    END IF;
  END LOOP;
  RETURN QUERY
  SELECT role || ' may' || CASE WHEN open THEN '' ELSE ' not' END || ' read kw.' || name
  FROM (
    SELECT r AS role, t.name, has_table_privilege(r, 'kw.' || t.name, 'SELECT') AS open,
      NOT own_jobs AND (r = 'kw_reader' OR t.of_writer) AS wanted
    FROM kw.closed_tables() t, unnest(ARRAY['kw_reader', 'kw_writer']) r
  ) w WHERE open <> wanted;
END
$$;

-- Makes views and rights what the settings say. Waits for nobody who reads for long.
CREATE FUNCTION kw.apply_rights() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '5s' AS $$
DECLARE
  own_jobs boolean := (SELECT s.value = '"own_jobs"' FROM kw.settings s WHERE s.name = 'read_scope');
  anonymous boolean := (SELECT s.value = 'true' FROM kw.settings s WHERE s.name = 'anonymous_read');
  one record;
BEGIN
  IF NOT EXISTS (SELECT FROM kw.rights_problems()) THEN
    RETURN;
  END IF;
  FOR one IN SELECT * FROM kw.scoped_views v ORDER BY v.place LOOP
    EXECUTE format('CREATE OR REPLACE VIEW kw.%I %s AS %s', one.name,
      CASE WHEN own_jobs THEN 'WITH (security_barrier = true)' ELSE '' END,
      CASE WHEN own_jobs THEN one.own_jobs ELSE one.everything END);
    UPDATE kw.scoped_views v SET printed = pg_get_viewdef(to_regclass('kw.' || v.name)) WHERE v.name = one.name;
    EXECUTE format('GRANT SELECT ON kw.%I TO kw_reader, kw_writer %s', one.name, CASE WHEN one.of_scheduler THEN ', kw_scheduler' END);
    EXECUTE format('%s SELECT ON kw.%I %s kw_anon', CASE WHEN anonymous THEN 'GRANT' ELSE 'REVOKE' END, one.name,
      CASE WHEN anonymous THEN 'TO' ELSE 'FROM' END);
  END LOOP;
  FOR one IN SELECT * FROM kw.closed_tables() LOOP
    IF own_jobs THEN
      EXECUTE format('REVOKE SELECT ON kw.%I FROM kw_reader, kw_writer', one.name);
    ELSE
      EXECUTE format('GRANT SELECT ON kw.%I TO kw_reader %s', one.name, CASE WHEN one.of_writer THEN ', kw_writer' END);
    END IF;
  END LOOP;
END
$$;

-- The settings are what holds: whoever changes them changes the rights.
CREATE FUNCTION kw.settings_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF (SELECT s.value FROM kw.settings s WHERE s.name = 'read_scope') NOT IN ('"all"', '"own_jobs"') THEN
    RAISE EXCEPTION 'read_scope is all or own_jobs' USING ERRCODE = 'check_violation';
  END IF;
  IF (SELECT s.value FROM kw.settings s WHERE s.name = 'anonymous_read') NOT IN ('true', 'false') THEN
    RAISE EXCEPTION 'anonymous_read is true or false' USING ERRCODE = 'check_violation';
  END IF;
  PERFORM kw.apply_rights();
  RETURN NULL;
END
$$;
CREATE TRIGGER settings_changed AFTER UPDATE ON kw.settings
FOR EACH ROW WHEN (NEW.name IN ('read_scope', 'anonymous_read') AND NEW.value IS DISTINCT FROM OLD.value)
EXECUTE FUNCTION kw.settings_changed();

REVOKE ALL ON FUNCTION kw.closed_tables, kw.rights_problems, kw.apply_rights, kw.settings_changed FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kw.rights_problems TO kw_reader;
SELECT kw.apply_rights();

-- When a job had which nodes, of those that the caller may see. SECURITY DEFINER: it asks schedulers that only the
-- owner may ask.
CREATE FUNCTION kw.job_nodetimes(wanted_job bigint, wanted_source text DEFAULT NULL)
RETURNS TABLE (
  job_id bigint, start_time timestamptz, stop_time timestamptz, node text, owner text, state text, source text, problem text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, kw, pg_temp AS $$
  SELECT n.job_id, n.start_time, n.stop_time, n.node, n.owner, n.state, n.source, n.problem
  FROM kw.all_job_nodetimes(wanted_job, wanted_source) n
  WHERE kw.sees_all() OR n.owner = kw.caller_name() OR n.problem IS NOT NULL
$$;
REVOKE ALL ON FUNCTION kw.job_nodetimes FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kw.job_nodetimes TO kw_anon, kw_reader, kw_writer, kw_scheduler;

-- Whether a user has a node in a running job at this moment, of schedulers that were heard of lately only.
CREATE FUNCTION kw.has_node_now(username text, device text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
RETURN EXISTS (SELECT FROM kw.nodetime_now n WHERE n.node = device AND n.owner = username);
REVOKE ALL ON FUNCTION kw.has_node_now FROM PUBLIC;
