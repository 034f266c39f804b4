-- Reading the jobs of schedulers where they are: OAR's own tables through postgres_fdw, or a view of the site's.
--
--   oar.jobs, oar.job_types, ...  foreign tables, made by kw job source add oar postgres://...
--   kw_sources.oar                nodetime of all its jobs: joins on them, pushed down to OAR's server
--   kw.nodetime_by_job            jobs that kw was told of, and those of all these views
--   kw.jobs, kw.job_nodes         also hold each job that was seen running there, for when the source cannot be asked
--
-- No secret is here: the password is in the user mapping of kw_owner, whose views these are.

RESET ROLE;
CREATE SCHEMA kw_sources AUTHORIZATION kw_owner;
SET LOCAL ROLE kw_owner;
REVOKE ALL ON SCHEMA kw_sources FROM PUBLIC;

INSERT INTO kw.settings (name, value, description) VALUES
  ('source_max_age', '"24 hours"',
   'interval: jobs of a scheduler that could not be asked for so long give no rights any more');

-- The sources whose jobs are read elsewhere, not told to kw.
CREATE FUNCTION kw.is_read(kind text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN kind IN ('oar', 'view');

-- Why a source is not worth asking now, or NULL. Who looks after it (collectors, every second) will see when it is
-- back; when nobody has looked for half a minute, it is asked.
CREATE FUNCTION kw.source_problem(source kw.job_sources) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT CASE
    WHEN source.state IN ('away', 'slow', 'wrong') AND source.checked_at > now() - interval '30 seconds'
      THEN coalesce(source.last_error, source.state)
    WHEN source.attempted_at > coalesce(source.checked_at, '-infinity')
      AND source.attempted_at BETWEEN now() - interval '30 seconds' AND now() - interval '4 seconds'
      THEN 'it has not answered since ' || to_char(source.attempted_at, 'YYYY-MM-DD HH24:MI:SSOF')
  END
$$;

-- Which nodes jobs have now, as far as that gives rights and promotions: no job is trusted for ever, and no scheduler
-- that has not been heard of for long.
CREATE VIEW kw.nodetime_now AS
SELECT n.job_id, n.start_time, n.stop_time, n.node, n.owner, n.state, n.source
FROM kw.nodetime_local n
WHERE n.start_time <= now() AND (n.stop_time IS NULL OR n.stop_time > now())
  AND n.start_time > now() - kw.setting_interval('job_max_age')
  AND NOT EXISTS (
    SELECT FROM kw.job_sources s
    WHERE s.name = n.source AND s.kind IN ('oar', 'view')
      AND s.last_good_at < now() - kw.setting_interval('source_max_age'));
GRANT SELECT ON kw.nodetime_now TO kw_reader, kw_writer, kw_scheduler;

CREATE OR REPLACE FUNCTION kw.job_nodes_now(job bigint, job_source text) RETURNS TABLE (node text, owner text)
LANGUAGE sql STABLE SET search_path = pg_catalog, kw, pg_temp AS $$
  SELECT DISTINCT n.node, n.owner FROM kw.nodetime_now n WHERE n.job_id = job AND n.source = job_source
$$;

-- Makes kw.nodetime_by_job out of what kw was told and of the views of all sources that are read.
CREATE FUNCTION kw.rebuild_nodetime_by_job() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, kw, pg_temp AS $$
DECLARE
  body text := 'SELECT n.job_id, n.start_time, n.stop_time, n.node, n.owner, n.state, n.source FROM kw.nodetime_local n';
  read_sources text[] := ARRAY(SELECT s.name FROM kw.job_sources s WHERE kw.is_read(s.kind) ORDER BY s.name);
  name text;
BEGIN
  IF cardinality(read_sources) > 0 THEN
    body := body || format(' WHERE n.source <> ALL (%L::text[])', read_sources);
  END IF;
  FOREACH name IN ARRAY read_sources LOOP
    body := body || format(' UNION ALL SELECT job_id, start_time, stop_time, node, owner, state, source FROM kw_sources.%I', name);
  END LOOP;
  EXECUTE 'CREATE OR REPLACE VIEW kw.nodetime_by_job AS ' || body;
END
$$;

-- The name of the device of a column with nodes, as SQL: for the views of sources. m is a join with kw.node_names.
CREATE FUNCTION kw.node_expression(source_name text, node_column text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, kw, pg_temp
RETURN (
  SELECT format(
    CASE WHEN s.node_mapping -> 'cut_at_dot' = 'false'::jsonb THEN 'coalesce(m.device_id, %1$s)'
      ELSE 'coalesce(m.device_id, kw.short_node_name(%1$s))' END, node_column)
  FROM kw.job_sources s WHERE s.name = source_name);

-- The views of an OAR source over its foreign tables, which are in the schema of its name. The parts that read one job are
-- such that postgres_fdw sends the whole join with its condition to OAR's server.
CREATE FUNCTION kw.make_oar_views(source_name text) RETURNS void
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

-- Imports OAR's tables from a server that postgres_fdw reaches: options of the server as in its documentation.
-- The caller is kw_owner; what is needed of rights kw job source add has done before.
CREATE FUNCTION kw.import_oar(source_name text, server_options jsonb, login text, password text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, kw, pg_temp AS $$
DECLARE
  server text := 'kw_' || source_name;
  missing text;
BEGIN
  EXECUTE format('CREATE SERVER %I FOREIGN DATA WRAPPER postgres_fdw OPTIONS (%s)', server,
    (SELECT string_agg(format('%I %L', o.key, o.value), ', ' ORDER BY o.key) FROM jsonb_each_text(server_options) o));
  EXECUTE format('CREATE USER MAPPING FOR kw_owner SERVER %I OPTIONS (user %L%s)', server, login,
    CASE WHEN password IS NULL THEN '' ELSE format(', password %L', password) END);
  EXECUTE format(
    'IMPORT FOREIGN SCHEMA public LIMIT TO (jobs, job_types, assigned_resources, resources) FROM SERVER %I INTO %I',
    server, source_name);
  SELECT string_agg(w.c, ', ') INTO missing
  FROM (VALUES ('jobs.job_id'), ('jobs.job_user'), ('jobs.job_name'), ('jobs.state'), ('jobs.submission_time'),
    ('jobs.start_time'), ('jobs.stop_time'), ('jobs.assigned_moldable_job'), ('job_types.job_id'), ('job_types.type'),
    ('assigned_resources.moldable_job_id'), ('assigned_resources.resource_id'), ('resources.resource_id'),
    ('resources.type'), ('resources.network_address')) w (c)
  WHERE NOT EXISTS (
    SELECT FROM pg_attribute a
    WHERE a.attrelid = to_regclass(format('%I.%I', source_name, split_part(w.c, '.', 1)))
      AND a.attname = split_part(w.c, '.', 2) AND NOT a.attisdropped
      AND (a.atttypid IN ('int4'::regtype, 'int8'::regtype))
        = (split_part(w.c, '.', 2) ~ '(_id|_time|_moldable_job)$'));
  IF missing IS NOT NULL THEN
    RAISE EXCEPTION 'these are not OAR''s tables: % is missing or of another type', missing
      USING ERRCODE = 'undefined_column';
  END IF;
  PERFORM kw.make_oar_views(source_name);
END
$$;

-- A view or table of the site's own as a source. owner, state and monitor (text: a pattern; one row a pattern) may be missing.
CREATE FUNCTION kw.make_site_view(source_name text, site_view regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, kw, pg_temp AS $$
DECLARE
  columns text[] := ARRAY(
    SELECT a.attname FROM pg_attribute a WHERE a.attrelid = site_view AND a.attnum > 0 AND NOT a.attisdropped);
  missing text := (
    SELECT string_agg(w, ', ') FROM unnest(ARRAY['job_id', 'start_time', 'stop_time', 'node']) w WHERE w <> ALL (columns));
BEGIN
  IF missing IS NOT NULL THEN
    RAISE EXCEPTION '% has no column %', site_view, missing USING ERRCODE = 'undefined_column',
      HINT = 'it needs job_id, start_time, stop_time (null while the job runs) and node; owner, state and monitor are optional';
  END IF;
  EXECUTE format($view$
    CREATE VIEW kw_sources.%1$I AS
    SELECT DISTINCT v.job_id::bigint AS job_id, v.start_time::timestamptz AS start_time, v.stop_time::timestamptz AS stop_time,
      %3$s AS node, %4$s AS owner, %5$s AS state, %6$L::text AS source
    FROM %2$s v LEFT JOIN kw.node_names m ON m.source = %6$L AND m.node = v.node::text
    WHERE v.start_time IS NOT NULL
    $view$, source_name, site_view, kw.node_expression(source_name, 'v.node::text'),
    CASE WHEN 'owner' = ANY (columns) THEN 'coalesce(v.owner::text, ''unknown'')' ELSE '''unknown''::text' END,
    CASE WHEN 'state' = ANY (columns) THEN 'coalesce(v.state::text, ''unknown'')'
      ELSE 'CASE WHEN v.stop_time IS NULL THEN ''running'' ELSE ''stopped'' END' END,
    source_name);
  EXECUTE format($view$
    CREATE VIEW kw_sources.%1$I AS SELECT DISTINCT v.job_id::bigint AS job_id, %3$s AS pattern FROM %2$s v WHERE %3$s IS NOT NULL
    $view$, source_name || '_patterns', site_view,
    CASE WHEN 'monitor' = ANY (columns) THEN 'v.monitor::text' ELSE 'NULL::text' END);
END
$$;

-- One job that runs, as a source tells it.
CREATE TYPE kw.source_job AS (
  job_id bigint, owner text, state text, name text, submitted timestamptz, started timestamptz, stopped timestamptz);

-- Asks one source for its running jobs, and brings what is kept of them here, with the promotions, in line.
-- Everything is read before anything is written: while a source hangs, nothing is locked.
-- unless_newer: does nothing if somebody has looked so lately. Returns whether it was asked.
CREATE FUNCTION kw.sync_source(source_name text, unless_newer interval DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kw, pg_temp SET jit = off AS $$
DECLARE
  source kw.job_sources;
  began timestamptz := clock_timestamp();
  -- What gives rights compares with the start of the transaction.
  at timestamptz := now();
  running kw.source_job[];
  ended kw.source_job[];
  gone bigint[];
  fresh bigint[];
  nodes jsonb;
  patterns jsonb;
  one record;
BEGIN
  SELECT s.* INTO source FROM kw.job_sources s WHERE s.name = source_name AND kw.is_read(s.kind);
  IF NOT FOUND OR source.checked_at > began - unless_newer THEN
    RETURN false;
  END IF;
  IF NOT pg_try_advisory_xact_lock(hashtextextended('kw.sync_source ' || source_name, 0)) THEN
    -- Somebody is at it. Should that take long, the source hangs.
    IF source.attempted_at > coalesce(source.checked_at, '-infinity') AND source.attempted_at < began - interval '4 seconds' THEN
      PERFORM kw.source_failed(source_name, 'slow', 'it has not answered since ' || to_char(source.attempted_at, 'HH24:MI:SSOF'));
    END IF;
    RETURN false;
  END IF;

  -- What runs, and of what ran here the rest.
  IF source.kind = 'oar' THEN
    EXECUTE format($sql$
      SELECT array_agg((j.job_id, j.owner, j.state, j.name, to_timestamp(j.submission_time), to_timestamp(j.start_time), NULL)::kw.source_job)
      FROM kw_sources.%I j WHERE j.state IN ('toLaunch', 'Launching', 'Running', 'Suspended', 'Resuming')
      $sql$, source_name || '_jobs') INTO running;
  ELSE
    EXECUTE format($sql$
      SELECT array_agg((v.job_id, v.owner, v.state, NULL, NULL, v.started, NULL)::kw.source_job)
      FROM (SELECT job_id, max(owner) AS owner, max(state) AS state, min(start_time) AS started
        FROM kw_sources.%I WHERE stop_time IS NULL GROUP BY job_id) v
      $sql$, source_name) INTO running;
  END IF;
  gone := ARRAY(
    SELECT j.job_id FROM kw.jobs j
    WHERE j.source = source_name AND j.stopped IS NULL AND j.job_id NOT IN (SELECT r.job_id FROM unnest(running) r));
  IF cardinality(gone) > 0 THEN
    IF source.kind = 'oar' THEN
      EXECUTE format($sql$
        SELECT array_agg((j.job_id, j.owner, j.state, j.name, to_timestamp(j.submission_time), to_timestamp(j.start_time),
          CASE WHEN j.stop_time > 0 THEN to_timestamp(j.stop_time) END)::kw.source_job)
        FROM kw_sources.%I j WHERE j.job_id = ANY ($1)
        $sql$, source_name || '_jobs') INTO ended USING gone;
    ELSE
      EXECUTE format($sql$
        SELECT array_agg((v.job_id, v.owner, v.state, NULL, NULL, v.started, v.stopped)::kw.source_job)
        FROM (SELECT job_id, max(owner) AS owner, max(state) AS state, min(start_time) AS started, max(stop_time) AS stopped
          FROM kw_sources.%I WHERE job_id = ANY ($1) GROUP BY job_id) v
        $sql$, source_name) INTO ended USING gone;
    END IF;
  END IF;
  -- Jobs of OAR keep their nodes and types; those of a view may change them at any time.
  fresh := ARRAY(
    SELECT r.job_id FROM unnest(running) r
    WHERE source.kind <> 'oar' OR NOT EXISTS (
      SELECT FROM kw.jobs j
      WHERE j.source = source_name AND j.job_id = r.job_id AND j.stopped IS NULL AND j.started = least(r.started, j.started)));
  IF cardinality(fresh) > 0 THEN
    EXECUTE format('SELECT jsonb_agg(to_jsonb(n)) FROM kw_sources.%I n WHERE n.job_id = ANY ($1)', source_name)
      INTO nodes USING fresh;
    EXECUTE format('SELECT jsonb_object_agg(p.job_id, p.patterns) FROM (
        SELECT job_id, array_agg(pattern ORDER BY pattern) AS patterns FROM kw_sources.%I WHERE job_id = ANY ($1) GROUP BY job_id) p',
      source_name || '_patterns') INTO patterns USING fresh;
  END IF;

  -- From here on nothing is asked any more.
  IF cardinality(gone) > 0 THEN
    UPDATE kw.job_nodes n
    SET stop_time = greatest(n.start_time, coalesce(e.stopped, at))
    FROM unnest(gone) g LEFT JOIN unnest(ended) e ON e.job_id = g
    WHERE n.source = source_name AND n.job_id = g AND n.stop_time IS NULL;
    UPDATE kw.jobs j
    SET stopped = greatest(j.started, coalesce(e.stopped, at)), state = coalesce(left(e.state, 255), 'unknown')
    FROM unnest(gone) g LEFT JOIN unnest(ended) e ON e.job_id = g
    WHERE j.source = source_name AND j.job_id = g;
    IF EXISTS (SELECT FROM kw.promoted_metrics p WHERE p.source = source_name AND p.job_id = ANY (gone)) THEN
      DELETE FROM kw.promoted_metrics p WHERE p.source = source_name AND p.job_id = ANY (gone);
    END IF;
  END IF;
  IF cardinality(fresh) > 0 THEN
    -- OAR gives jobs a start that may lie up to a second ahead: they have their nodes now.
    INSERT INTO kw.jobs AS j (source, job_id, name_id, owner, state, submitted, started, comment)
    SELECT source_name, r.job_id, r.job_id::text, left(coalesce(nullif(r.owner, ''), 'unknown'), 63),
      left(r.state, 255), r.submitted, least(r.started, at), left(r.name, 1000)
    FROM unnest(running) r WHERE r.job_id = ANY (fresh)
    ON CONFLICT ON CONSTRAINT jobs_pkey DO UPDATE
    SET stopped = NULL, state = excluded.state, owner = excluded.owner, started = excluded.started
    WHERE (j.stopped, j.state, j.owner, j.started) IS DISTINCT FROM (NULL::timestamptz, excluded.state, excluded.owner, excluded.started);
    -- What the copy has and the source has not is no more, or has another time.
    DELETE FROM kw.job_nodes n
    WHERE n.source = source_name AND n.job_id = ANY (fresh) AND NOT EXISTS (
      SELECT FROM jsonb_to_recordset(nodes) AS x (job_id bigint, node text, start_time timestamptz)
      WHERE x.job_id = n.job_id AND x.node = n.node AND least(x.start_time, at) = n.start_time);
    INSERT INTO kw.job_nodes AS n (source, job_id, node, start_time, stop_time)
    SELECT DISTINCT ON (x.job_id, x.node, least(x.start_time, at))
      source_name, x.job_id, x.node, least(x.start_time, at),
      CASE WHEN x.stop_time IS NOT NULL THEN greatest(x.stop_time, least(x.start_time, at)) END
    FROM jsonb_to_recordset(nodes) AS x (job_id bigint, node text, start_time timestamptz, stop_time timestamptz)
    WHERE kw.name_problem('node', x.node) IS NULL
    ON CONFLICT ON CONSTRAINT job_nodes_pkey DO UPDATE SET stop_time = excluded.stop_time
    WHERE n.stop_time IS DISTINCT FROM excluded.stop_time;
    FOR one IN
      SELECT f AS job_id, ARRAY(SELECT jsonb_array_elements_text(patterns -> f::text)) AS patterns FROM unnest(fresh) f
    LOOP
      PERFORM kw.sync_job_promotions(source_name, one.job_id, one.patterns);
    END LOOP;
  END IF;
  UPDATE kw.jobs j SET state = left(r.state, 255)
  FROM unnest(running) r
  WHERE j.source = source_name AND j.job_id = r.job_id AND j.state <> left(r.state, 255);

  UPDATE kw.job_sources s
  SET state = 'ok', checked_at = clock_timestamp(), last_good_at = clock_timestamp(),
    running_jobs = coalesce(cardinality(running), 0),
    took_ms = extract(epoch FROM clock_timestamp() - began) * 1000
  WHERE s.name = source_name;
  RETURN true;
END
$$;

-- Notes why a source could not be asked.
CREATE FUNCTION kw.source_failed(source_name text, new_state text, problem text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, kw, pg_temp AS $$
  UPDATE kw.job_sources s
  SET state = new_state, checked_at = clock_timestamp(), last_error = left(problem, 500)
  WHERE s.name = source_name
$$;

-- It is being asked since then, and has not answered: noted from outside of the transaction that waits.
CREATE FUNCTION kw.source_attempted(source_name text, since timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, kw, pg_temp AS $$
  UPDATE kw.job_sources s SET attempted_at = since WHERE s.name = source_name
$$;

-- What an error of a foreign server means for its source: it is away, slow, or not what it should be.
CREATE FUNCTION kw.source_state_of(sqlstate_code text, problem text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
RETURN CASE
  WHEN problem LIKE '%timeout expired%' THEN 'slow'
  WHEN sqlstate_code LIKE '08%' OR sqlstate_code LIKE '57P%' OR sqlstate_code LIKE '53%' THEN 'away'
  WHEN sqlstate_code IN ('57014', '55P03', '25P03') THEN 'slow'
  ELSE 'wrong'
END;

-- As sync_source, but a source that cannot be asked is noted, and is no error.
CREATE FUNCTION kw.try_source(source_name text, unless_newer interval DEFAULT NULL) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kw, pg_temp AS $$
DECLARE
  problem text;
  detail text;
  code text;
BEGIN
  BEGIN
    IF NOT kw.sync_source(source_name, unless_newer) THEN
      -- Another session waits for it still: what was found stays true.
      UPDATE kw.job_sources s SET checked_at = clock_timestamp()
      WHERE s.name = source_name AND s.state IN ('away', 'slow', 'wrong') AND s.checked_at < now() - interval '5 seconds';
    END IF;
  EXCEPTION WHEN query_canceled OR OTHERS THEN
    GET STACKED DIAGNOSTICS problem = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, code = RETURNED_SQLSTATE;
    PERFORM kw.source_failed(
      source_name, kw.source_state_of(code, problem || coalesce(detail, '')), kw.source_words(problem, detail));
  END;
  RETURN (SELECT s.state FROM kw.job_sources s WHERE s.name = source_name);
END
$$;

-- What a foreign server's error says, in one line.
CREATE FUNCTION kw.source_words(problem text, detail text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
RETURN regexp_replace(
  CASE WHEN problem LIKE 'could not connect to server%' AND detail <> '' THEN detail ELSE problem END, '\s+', ' ', 'g');

-- Asks the schedulers that kw reads for the jobs that run now, and brings promotions in line with what these asked
-- for. Each source by itself: one that is away or slow changes nothing of its own. PostgREST's clients call it as
-- api.update_promoted_metrics; collectors do the same source by source, every second (kw.try_source).
CREATE FUNCTION kw.update_promotions() RETURNS TABLE (source text, state text, problem text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kw, pg_temp AS $$
DECLARE
  one record;
BEGIN
  FOR one IN SELECT s.name FROM kw.job_sources s WHERE kw.is_read(s.kind) AND kw.source_problem(s) IS NULL ORDER BY s.name LOOP
    PERFORM kw.try_source(one.name);
  END LOOP;
  RETURN QUERY
    SELECT s.name, s.state, CASE WHEN s.state = 'ok' THEN NULL ELSE s.last_error END FROM kw.job_sources s ORDER BY s.name;
END
$$;

-- When a job had which nodes, of all sources that have the number, or of one. A source that cannot be asked is told
-- in a row of its own (problem, and no node), and what was seen of the job here takes its place. A kw.nodetime_by_job
-- that a site made itself, without a source, is read. Without JIT: estimates for foreign tables are guesses, and a wrong
-- one has a question for one job compiled, which takes a hundred times as long as the question.
CREATE FUNCTION kw.all_job_nodetimes(wanted_job bigint, wanted_source text DEFAULT NULL)
RETURNS TABLE (
  job_id bigint, start_time timestamptz, stop_time timestamptz, node text, owner text, state text, source text, problem text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, kw, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
  one kw.job_sources;
  rows kw.nodetime_local[];
  trouble text;
  detail text;
BEGIN
  IF NOT EXISTS (SELECT FROM kw.job_sources s WHERE kw.is_read(s.kind)) THEN
    RETURN QUERY
      SELECT n.job_id::bigint, n.start_time, n.stop_time, n.node, n.owner, n.state, n.source, NULL::text FROM kw.nodetime_by_job n
      WHERE n.job_id = wanted_job AND (wanted_source IS NULL OR n.source = wanted_source);
    RETURN;
  END IF;
  RETURN QUERY
    SELECT n.job_id, n.start_time, n.stop_time, n.node, n.owner, n.state, n.source, NULL::text FROM kw.nodetime_local n
    WHERE n.job_id = wanted_job AND (wanted_source IS NULL OR n.source = wanted_source)
      AND NOT EXISTS (SELECT FROM kw.job_sources s WHERE s.name = n.source AND kw.is_read(s.kind));
  FOR one IN
    SELECT s.* FROM kw.job_sources s
    WHERE kw.is_read(s.kind) AND (wanted_source IS NULL OR s.name = wanted_source) ORDER BY s.name
  LOOP
    trouble := kw.source_problem(one);
    IF trouble IS NULL THEN
      BEGIN
        EXECUTE format('SELECT array_agg(n::kw.nodetime_local) FROM (
            SELECT job_id, start_time, stop_time, node, owner, state, source FROM kw_sources.%I WHERE job_id = %s) n',
          one.name, wanted_job) INTO rows;
      EXCEPTION WHEN query_canceled OR OTHERS THEN
        GET STACKED DIAGNOSTICS trouble = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
        trouble := kw.source_words(trouble, detail);
      END;
    END IF;
    IF trouble IS NULL THEN
      RETURN QUERY SELECT r.job_id, r.start_time, r.stop_time, r.node, r.owner, r.state, r.source, NULL::text FROM unnest(rows) r;
    ELSE
      RETURN QUERY
        SELECT n.job_id, n.start_time, n.stop_time, n.node, n.owner, n.state, n.source, NULL::text FROM kw.nodetime_local n
        WHERE n.job_id = wanted_job AND n.source = one.name;
      RETURN QUERY SELECT wanted_job, NULL::timestamptz, NULL::timestamptz, NULL, NULL, NULL, one.name, trouble;
    END IF;
  END LOOP;
END
$$;

-- Ends what has expired. Rights and promotions do not hang on foreign servers; a job that no copy is kept of is one of
-- a kw.nodetime_by_job that the site made itself.
CREATE FUNCTION kw.end_forgotten_promotions() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, kw, pg_temp AS $$
DECLARE
  one record;
  runs boolean;
BEGIN
  DELETE FROM kw.promoted_metrics p
  WHERE p.job_id IS NOT NULL AND p.enabled_at < now() - interval '1 minute'
    AND EXISTS (SELECT FROM kw.jobs j WHERE j.source = p.source AND j.job_id = p.job_id)
    AND NOT EXISTS (
      SELECT FROM kw.nodetime_local n
      WHERE n.job_id = p.job_id AND n.source = p.source
        AND (n.stop_time IS NULL OR n.stop_time > now())
        AND n.start_time > now() - kw.setting_interval('job_max_age'));
  FOR one IN
    SELECT DISTINCT p.source, p.job_id FROM kw.promoted_metrics p
    WHERE p.job_id IS NOT NULL AND p.enabled_at < now() - interval '1 minute'
      AND NOT EXISTS (SELECT FROM kw.jobs j WHERE j.source = p.source AND j.job_id = p.job_id)
  LOOP
    BEGIN
      EXECUTE 'SELECT EXISTS (
        SELECT FROM kw.nodetime_by_job n
        WHERE n.job_id = $1 AND n.source = $2 AND (n.stop_time IS NULL OR n.stop_time > now())
          AND n.start_time > now() - kw.setting_interval(''job_max_age''))' INTO runs USING one.job_id, one.source;
      IF NOT runs THEN
        DELETE FROM kw.promoted_metrics p WHERE p.source = one.source AND p.job_id = one.job_id;
      END IF;
    EXCEPTION WHEN OTHERS THEN
      RAISE WARNING 'jobs cannot be read: %', SQLERRM;
    END;
  END LOOP;
END
$$;

CREATE OR REPLACE FUNCTION kw.tidy_up() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, kw, pg_temp AS $$
DECLARE
  -- As long as there may be values or summaries of that time.
  runs_from timestamptz := now() - coalesce(
    CASE WHEN kw.setting_interval('raw_retention') IS NOT NULL
      THEN greatest(kw.setting_interval('raw_retention'), kw.setting_interval('summary_retention')) END,
    kw.setting_interval('max_past'), interval '10 years');
BEGIN
  DELETE FROM kw.promoted_metrics p WHERE p.expires_at <= now();
  PERFORM kw.end_forgotten_promotions();
  DELETE FROM kw.pushed_label_sets p WHERE p.day < current_date - 1;
  -- A spool that was not written to for a year is gone.
  DELETE FROM kw.ledger l WHERE l.committed_at < now() - interval '1 year';
  DELETE FROM kw.past_runs r WHERE r.written_up_to < runs_from;
  IF FOUND THEN
    UPDATE kw.settings s SET value = to_jsonb(runs_from)
    WHERE s.name = 'runs_dropped_before' AND runs_from > (s.value #>> '{}')::timestamptz;
  END IF;
  DELETE FROM kw.collector_losses l WHERE l.lost_until < runs_from;
  DELETE FROM kw.metric_catalogue_past p WHERE p.until < runs_from;
END
$$;

REVOKE ALL ON FUNCTION kw.is_read, kw.source_problem, kw.rebuild_nodetime_by_job, kw.node_expression, kw.make_oar_views,
  kw.import_oar, kw.make_site_view, kw.sync_source, kw.source_failed, kw.source_attempted, kw.source_state_of, kw.try_source, kw.source_words,
  kw.all_job_nodetimes, kw.end_forgotten_promotions, kw.update_promotions FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kw.update_promotions TO kw_writer, kw_scheduler, kw_collector;
GRANT EXECUTE ON FUNCTION kw.try_source, kw.source_attempted, kw.source_failed TO kw_collector;

-- Takes away what was made for a source. What was seen of its jobs stays, as jobs that kw was told of; those that
-- run are ended, with what is enabled for them.
CREATE FUNCTION kw.drop_source(source_name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, kw, pg_temp AS $$
DECLARE
  source_kind text;
BEGIN
  DELETE FROM kw.job_sources s WHERE s.name = source_name RETURNING s.kind INTO source_kind;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'there is no source %', source_name USING ERRCODE = 'no_data_found';
  END IF;
  UPDATE kw.job_nodes n SET stop_time = greatest(n.start_time, now()) WHERE n.source = source_name AND n.stop_time IS NULL;
  UPDATE kw.jobs j SET stopped = greatest(j.started, now()), state = 'unknown'
  WHERE j.source = source_name AND j.stopped IS NULL;
  DELETE FROM kw.promoted_metrics p WHERE p.source = source_name;
  IF NOT kw.is_read(source_kind) THEN
    RETURN;
  END IF;
  PERFORM kw.rebuild_nodetime_by_job();
  EXECUTE format('DROP VIEW kw_sources.%I, kw_sources.%I', source_name, source_name || '_patterns');
  IF source_kind = 'oar' THEN
    EXECUTE format('DROP VIEW kw_sources.%I', source_name || '_jobs');
    EXECUTE format('DROP FOREIGN TABLE %1$I.jobs, %1$I.job_types, %1$I.assigned_resources, %1$I.resources', source_name);
    EXECUTE format('DROP SCHEMA %I', source_name);
    EXECUTE format('DROP USER MAPPING FOR kw_owner SERVER %I', 'kw_' || source_name);
    EXECUTE format('DROP SERVER %I', 'kw_' || source_name);
  END IF;
END
$$;
REVOKE ALL ON FUNCTION kw.drop_source, kw.import_oar, kw.make_site_view FROM PUBLIC;
