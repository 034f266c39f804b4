-- What a million jobs ask for: indexes, there and here.

-- Lists of jobs over all sources. A list of what runs asks nobody: it is kept here, a second old at most while a
-- collector runs. A list of all asks each source for its last jobs; one that cannot be asked is told in a row of its
-- own (problem, and no job), and what was seen of its jobs here takes their place.
CREATE OR REPLACE FUNCTION kw.listed_jobs(finished boolean, wanted_owner text, most int)
RETURNS TABLE (
  source text, job_id bigint, name_id text, owner text, state text, comment text, started timestamptz, stopped timestamptz,
  nodes text[], problem text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, kw, pg_temp AS $$
#variable_conflict use_column
DECLARE
  caller text := kw.caller_name();
  sees_all boolean := kw.sees_all();
  one kw.job_sources;
  elsewhere text[] := ARRAY(SELECT s.name FROM kw.job_sources s WHERE kw.is_read(s.kind));
  local_sources text[] := '{}';
  listed kw.source_job[];
  nodes jsonb;
  trouble text;
  detail text;
BEGIN
  FOR one IN SELECT s.* FROM kw.job_sources s WHERE kw.is_read(s.kind) ORDER BY s.name LOOP
    trouble := kw.source_problem(one);
    IF trouble IS NULL AND finished THEN
      BEGIN
        IF one.kind = 'oar' THEN
          EXECUTE format($sql$
            SELECT array_agg((j.job_id, j.owner, j.state, j.name, NULL, to_timestamp(j.start_time),
              CASE WHEN j.stop_time > 0 THEN to_timestamp(j.stop_time) END)::kw.source_job)
            FROM (
              SELECT job_id, owner, state, name, start_time, stop_time FROM kw_sources.%I
              WHERE true %s ORDER BY job_id DESC LIMIT %s) j
            $sql$, one.name || '_jobs',
            CASE WHEN wanted_owner IS NOT NULL THEN format(' AND owner = %L', wanted_owner) END
              || CASE WHEN NOT sees_all THEN format(' AND owner = %L', caller) ELSE '' END, most)
            INTO listed;
        ELSE
          EXECUTE format($sql$
            SELECT array_agg((v.job_id, v.owner, v.state, NULL, NULL, v.started, v.stopped)::kw.source_job)
            FROM (
              SELECT job_id, max(owner) AS owner, max(state) AS state, min(start_time) AS started,
                CASE WHEN bool_and(stop_time IS NOT NULL) THEN max(stop_time) END AS stopped
              FROM kw_sources.%I WHERE ($1 IS NULL OR owner = $1) AND ($2 OR owner = $3)
              GROUP BY job_id ORDER BY min(start_time) DESC LIMIT $4) v
            $sql$, one.name) INTO listed USING wanted_owner, sees_all, caller, most;
        END IF;
        EXECUTE format('SELECT jsonb_object_agg(n.job_id, n.nodes) FROM (
            SELECT job_id, array_agg(DISTINCT node) AS nodes FROM kw_sources.%I WHERE job_id = ANY ($1) GROUP BY job_id) n',
          one.name) INTO nodes USING ARRAY(SELECT l.job_id FROM unnest(listed) l);
      EXCEPTION WHEN query_canceled OR OTHERS THEN
        GET STACKED DIAGNOSTICS trouble = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
        trouble := kw.source_words(trouble, detail);
      END;
      IF trouble IS NULL THEN
        RETURN QUERY
          SELECT one.name, l.job_id, l.job_id::text, l.owner, l.state, l.name, l.started, l.stopped,
            ARRAY(SELECT jsonb_array_elements_text(nodes -> l.job_id::text)), NULL::text
          FROM unnest(listed) l;
        CONTINUE;
      END IF;
    END IF;
    local_sources := local_sources || one.name;
    IF trouble IS NOT NULL THEN
      RETURN QUERY SELECT one.name, NULL::bigint, NULL, NULL, NULL, NULL, NULL::timestamptz, NULL::timestamptz, NULL::text[], trouble;
    END IF;
  END LOOP;
  -- By the indexes on what runs and on starts.
  RETURN QUERY EXECUTE format($sql$
    SELECT j.source, j.job_id, j.name_id, j.owner, j.state, j.comment, j.started, j.stopped,
      ARRAY(SELECT DISTINCT n.node FROM kw.job_nodes n WHERE n.source = j.source AND n.job_id = j.job_id), NULL::text
    FROM kw.jobs j
    WHERE %1$s AND ($1 IS NULL OR j.owner = $1) AND ($2 OR j.owner = $3) AND (j.source <> ALL ($4) OR j.source = ANY ($5))
    ORDER BY j.started DESC, j.job_id DESC, j.source
    LIMIT $6
    $sql$, CASE WHEN finished THEN 'true' ELSE 'j.stopped IS NULL' END)
    USING wanted_owner, sees_all, caller, elsewhere, local_sources, most;
END
$$;

-- The views of an OAR source over its foreign tables, which are in the schema of its name. The parts that read one job are
-- such that postgres_fdw sends the whole join with its condition to OAR's server.
CREATE OR REPLACE FUNCTION kw.make_oar_views(source_name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, kw, pg_temp AS $$
BEGIN
  EXECUTE format($view$
    CREATE VIEW kw_sources.%1$I AS
    SELECT DISTINCT o.job_id, to_timestamp(o.start_time) AS start_time,
      CASE WHEN o.stop_time > 0 THEN to_timestamp(greatest(o.stop_time, o.start_time)) END AS stop_time,
      %2$s AS node, o.owner, o.state, %3$L::text AS source
    FROM (
      SELECT j.job_id::bigint AS job_id, j.start_time, j.stop_time, r.network_address::text AS address,
        j.job_user::text AS owner, j.state::text AS state
      FROM %1$I.jobs j
      JOIN %1$I.assigned_resources a ON a.moldable_job_id = j.assigned_moldable_job
      JOIN %1$I.resources r ON r.resource_id = a.resource_id
      WHERE j.start_time > 0 AND j.assigned_moldable_job > 0 AND r.type = 'default' AND r.network_address <> ''
      GROUP BY j.job_id, j.start_time, j.stop_time, r.network_address, j.job_user, j.state
    ) o LEFT JOIN kw.node_names m ON m.source = %3$L AND m.node = o.address
    $view$, source_name, kw.node_expression(source_name, 'o.address'), source_name);
  EXECUTE format($view$
    CREATE VIEW kw_sources.%1$I AS
    SELECT j.job_id::bigint AS job_id, j.job_user::text AS owner, j.state::text AS state, j.job_name::text AS name,
      j.submission_time, j.start_time, j.stop_time
    FROM %2$I.jobs j
    WHERE j.start_time > 0 AND j.assigned_moldable_job > 0
    $view$, source_name || '_jobs', source_name);
  -- The number stays as it is: a cast would keep OAR from its index. Types `monitor` (all optional metrics) and `monitor=<pattern>`, as in Kwollect.
  EXECUTE format($view$
    CREATE VIEW kw_sources.%1$I AS
    SELECT t.job_id, CASE WHEN t.type = 'monitor' THEN '.*' ELSE substr(t.type, 9) END AS pattern
    FROM %2$I.job_types t
    WHERE t.type = 'monitor' OR t.type LIKE 'monitor=%%'
    $view$, source_name || '_patterns', source_name);
END
$$;

-- Brings what a job asked for by its type or comment in line: patterns of optional metrics on the nodes that it has
-- now, and no others. Patterns that are new are enabled, those that are gone end; what was enabled by hand stays,
-- and what was disabled by hand does not come back. Patterns that cannot be used are left out with a warning.
-- Returns how many are in force, each node counted. For schedulers and kw itself. As before; what is left out is told
-- once, and not at each look.
CREATE OR REPLACE FUNCTION kw.sync_job_promotions(source text, job_id bigint, patterns text[]) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kw, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  job kw.jobs;
  most int := (SELECT (s.value #>> '{}')::int FROM kw.settings s WHERE s.name = 'promotions_per_device');
  usable text[];
  pattern text;
BEGIN
  SELECT j.* INTO job FROM kw.jobs j WHERE j.source = source AND j.job_id = job_id FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'there is no job % of source %', job_id, source USING ERRCODE = 'no_data_found';
  END IF;
  usable := ARRAY(
    SELECT DISTINCT p FROM unnest(patterns) p
    WHERE p <> '' AND octet_length(p) <= 1024 ORDER BY p LIMIT most);
  IF cardinality(usable) < cardinality(patterns) AND job.patterns IS DISTINCT FROM usable THEN
    FOREACH pattern IN ARRAY patterns LOOP
      IF coalesce(pattern, '') = '' OR octet_length(pattern) > 1024 THEN
        RAISE WARNING 'job % of source %: a pattern is empty or longer than 1024 bytes, and is left out', job_id, source;
      ELSIF pattern <> ALL (usable) THEN
        RAISE WARNING 'job % of source %: more than % patterns; % is left out', job_id, source, most, left(pattern, 100);
      END IF;
    END LOOP;
  END IF;

  -- Looked for before it is deleted: a statement wakes the collectors even where it finds nothing.
  IF EXISTS (
    SELECT FROM kw.promoted_metrics p
    WHERE p.source = source AND p.job_id = job_id AND p.origin = 'scheduler'
      AND (p.metric_id <> ALL (usable) OR p.device_id NOT IN (SELECT n.node FROM kw.job_nodes_now(job_id, source) n)))
  THEN
    DELETE FROM kw.promoted_metrics p
    WHERE p.source = source AND p.job_id = job_id AND p.origin = 'scheduler'
      AND (p.metric_id <> ALL (usable) OR p.device_id NOT IN (SELECT n.node FROM kw.job_nodes_now(job_id, source) n));
  END IF;
  IF EXISTS (SELECT FROM unnest(usable) u WHERE u <> ALL (coalesce(job.patterns, '{}')))
    AND EXISTS (SELECT FROM kw.job_nodes_now(job_id, source))
  THEN
    INSERT INTO kw.promoted_metrics (device_id, metric_id, job_id, source, owner, origin)
    SELECT n.node, u, job_id, source, job.owner, 'scheduler'
    FROM kw.job_nodes_now(job_id, source) n, unnest(usable) u
    WHERE u <> ALL (coalesce(job.patterns, '{}'))
    ON CONFLICT ON CONSTRAINT promoted_metrics_device_id_metric_id_source_job_id_owner_key DO NOTHING;
    UPDATE kw.jobs j SET patterns = usable WHERE j.source = source AND j.job_id = job_id;
  ELSIF job.patterns <> usable OR (job.patterns IS NULL AND cardinality(usable) = 0 AND job.stopped IS NULL) THEN
    UPDATE kw.jobs j SET patterns = usable WHERE j.source = source AND j.job_id = job_id;
  END IF;
  RETURN (
    SELECT count(*) FROM kw.promoted_metrics p
    WHERE p.source = source AND p.job_id = job_id AND p.origin = 'scheduler');
END
$$;
