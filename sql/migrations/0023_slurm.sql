-- Jobs of Slurm: its prologs tell of them (kw job start and stop), and kw job sync --slurm holds what kw knows against
-- what Slurm says, so that a prolog that was lost is made good.

-- The device that a node is of which kw is told: as mapped for the source, or the device of exactly that name, or the
-- name cut at its first dot.
CREATE FUNCTION kw.told_node(job_source text, node_name text) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, kw, pg_temp
RETURN coalesce(
  (SELECT n.device_id FROM kw.node_names n WHERE n.source = job_source AND n.node = node_name),
  (SELECT node_name FROM kw.metric_catalogue c WHERE c.device_id = node_name OR c.alias = node_name LIMIT 1),
  kw.device_of_node(job_source, node_name));

-- How far the clocks of a scheduler and of the database may be apart. A job that is requeued waits for longer.
INSERT INTO kw.settings (name, value, description) VALUES
  ('scheduler_clock_error', '"5 seconds"', 'interval: how far the clock of a scheduler may be off, for kw job sync');

-- Makes what kw knows of one job what its scheduler said of it at seen_at (by the clock of the database, taken before
-- it was asked). What was told to kw since then is newer, and stays.
--
--   said: {"job_id", "name_id", "owner", "state", "comment", "submitted", "resized", "patterns": [...],
--          "runs": [{"node", "start", "stop"}]}    the run that goes on or was the last; stop is null while it goes on;
--                                                  times are seconds of the epoch; no runs: it waits, or is not known
--
--   of kw's stays of a node         and what is said                       become
--   none in this run                a run                                  the run (it was not told: started)
--   one in this run                 a run                                  the times of the run (corrected)
--   one that ended before seen_at   a run that goes on                     goes on (reopened)
--   one that goes on                no run on this node                    ended when the job was resized, or seen_at (left)
--   one that goes on since before   a later run                            ended when the job was submitted again (requeue)
--   one that goes on                no runs                                ended at `ended`, else when it was submitted again, else seen_at
--
-- The patterns are enabled as sync_job_promotions does. Returns what changed, and for which nodes.
CREATE FUNCTION kw.sync_job(job_source text, said jsonb, seen_at timestamptz)
RETURNS TABLE (change text, nodes text[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kw, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  job bigint := (said ->> 'job_id')::bigint;
  error interval := kw.setting_interval('scheduler_clock_error');
  submitted timestamptz := to_timestamp((said ->> 'submitted')::float8);
  resized timestamptz := to_timestamp((said ->> 'resized')::float8);
  ended timestamptz := to_timestamp((said ->> 'ended')::float8);
  state text := left(coalesce(said ->> 'state', 'unknown'), 255);
  owner text := said ->> 'owner';
  run_start timestamptz;
  run record;
  stay record;
  wanted text[] := '{}';
  started text[] := '{}';
  corrected text[] := '{}';
  reopened text[] := '{}';
  gone text[] := '{}';
  part text[];
  before text[];
  after text[];
BEGIN
  SELECT min(to_timestamp(least((r ->> 'start')::float8, extract(epoch FROM now())))) INTO run_start
  FROM jsonb_array_elements(said -> 'runs') r;
  IF run_start IS NOT NULL THEN
    PERFORM kw.check_name('owner', owner);
    INSERT INTO kw.jobs (source, job_id, name_id, owner, state, submitted, started, comment)
    VALUES (job_source, job, coalesce(said ->> 'name_id', job::text), owner, state, submitted, run_start, said ->> 'comment')
    ON CONFLICT ON CONSTRAINT jobs_pkey DO NOTHING;
  END IF;
  PERFORM FROM kw.jobs j WHERE j.source = job_source AND j.job_id = job FOR UPDATE;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  before := ARRAY(
    SELECT p.device_id || ' ' || p.metric_id FROM kw.promoted_metrics p WHERE p.source = job_source AND p.job_id = job);

  -- Runs that were over before this one began, or before the job waits again.
  WITH over AS (
    UPDATE kw.job_nodes n
    SET stop_time = greatest(n.start_time, least(
      coalesce(ended, CASE WHEN submitted > n.start_time THEN submitted END, run_start, seen_at), run_start, seen_at))
    WHERE n.source = job_source AND n.job_id = job AND n.stop_time IS NULL
      AND n.start_time < coalesce(run_start, seen_at) - error
    RETURNING n.node
  )
  SELECT array_agg(DISTINCT o.node) INTO part FROM over o;
  gone := coalesce(part, '{}');

  FOR run IN
    SELECT x.node, min(x.start) AS start, CASE WHEN bool_and(x.stop IS NOT NULL) THEN max(x.stop) END AS stop
    FROM (
      SELECT kw.told_node(job_source, r ->> 'node') AS node,
        to_timestamp(least((r ->> 'start')::float8, extract(epoch FROM now()))) AS start,
        to_timestamp((r ->> 'stop')::float8) AS stop
      FROM jsonb_array_elements(said -> 'runs') r
      WHERE kw.name_problem('node', r ->> 'node') IS NULL) x
    GROUP BY x.node
  LOOP
    wanted := wanted || run.node;
    IF run.stop IS NOT NULL THEN
      run.stop := greatest(run.start, run.stop);
    END IF;
    SELECT n.start_time, n.stop_time INTO stay FROM kw.job_nodes n
    WHERE n.source = job_source AND n.job_id = job AND n.node = run.node
      AND n.start_time >= run.start - error AND (run.stop IS NULL OR n.start_time <= run.stop + error)
    ORDER BY n.stop_time DESC NULLS FIRST, n.start_time LIMIT 1;
    IF NOT FOUND THEN
      INSERT INTO kw.job_nodes (source, job_id, node, start_time, stop_time)
      VALUES (job_source, job, run.node, run.start, run.stop);
      started := started || run.node;
      CONTINUE;
    END IF;
    IF run.stop IS NULL AND stay.stop_time >= seen_at - error THEN
      -- It ended since.
      run.stop := stay.stop_time;
    ELSIF run.stop IS NULL AND stay.stop_time IS NOT NULL THEN
      reopened := reopened || run.node;
    ELSIF run.stop IS NOT NULL AND stay.stop_time IS NULL THEN
      gone := gone || run.node;
    ELSIF (stay.start_time, stay.stop_time) IS DISTINCT FROM (run.start, run.stop) THEN
      corrected := corrected || run.node;
    END IF;
    IF (stay.start_time, stay.stop_time) IS DISTINCT FROM (run.start, run.stop) THEN
      -- Told twice: one stay of a node in a run.
      DELETE FROM kw.job_nodes n
      WHERE n.source = job_source AND n.job_id = job AND n.node = run.node AND n.start_time <> stay.start_time
        AND n.start_time >= run.start - error AND (run.stop IS NULL OR n.start_time <= run.stop);
      UPDATE kw.job_nodes n SET start_time = run.start, stop_time = run.stop
      WHERE n.source = job_source AND n.job_id = job AND n.node = run.node AND n.start_time = stay.start_time;
    END IF;
  END LOOP;

  -- Nodes that left early.
  IF run_start IS NOT NULL THEN
    WITH leaving AS (
      UPDATE kw.job_nodes n
      SET stop_time = greatest(n.start_time, least(
        CASE WHEN resized > n.start_time THEN resized ELSE seen_at END, seen_at))
      WHERE n.source = job_source AND n.job_id = job AND n.stop_time IS NULL AND n.node <> ALL (wanted)
        AND n.start_time < seen_at - error
      RETURNING n.node
    )
    SELECT array_agg(l.node) INTO part FROM leaving l;
    gone := gone || coalesce(part, '{}');
  END IF;

  UPDATE kw.jobs j SET
    state = CASE WHEN now.runs AND run_start IS NULL THEN j.state ELSE state END,
    started = coalesce(now.started, j.started),
    stopped = CASE WHEN NOT now.runs THEN coalesce(now.stopped, j.stopped) END,
    name_id = coalesce(said ->> 'name_id', j.name_id),
    submitted = coalesce(j.submitted, submitted),
    comment = coalesce(said ->> 'comment', j.comment)
  FROM (
    SELECT coalesce(bool_or(n.stop_time IS NULL), false) AS runs, min(n.start_time) AS started, max(n.stop_time) AS stopped
    FROM kw.job_nodes n WHERE n.source = job_source AND n.job_id = job
  ) now
  WHERE j.source = job_source AND j.job_id = job
    AND (j.state, j.started, j.stopped, j.name_id, j.submitted, j.comment) IS DISTINCT FROM (
      CASE WHEN now.runs AND run_start IS NULL THEN j.state ELSE state END,
      coalesce(now.started, j.started), CASE WHEN NOT now.runs THEN coalesce(now.stopped, j.stopped) END,
      coalesce(said ->> 'name_id', j.name_id), coalesce(j.submitted, submitted), coalesce(said ->> 'comment', j.comment));

  -- What was enabled ends with the stay; nodes that join get what was enabled for the job by hand.
  IF EXISTS (
    SELECT FROM kw.promoted_metrics p
    WHERE p.source = job_source AND p.job_id = job
      AND p.device_id = ANY (gone) AND p.device_id NOT IN (SELECT n.node FROM kw.job_nodes_now(job, job_source) n))
  THEN
    DELETE FROM kw.promoted_metrics p
    WHERE p.source = job_source AND p.job_id = job
      AND p.device_id = ANY (gone) AND p.device_id NOT IN (SELECT n.node FROM kw.job_nodes_now(job, job_source) n);
  END IF;
  IF EXISTS (SELECT FROM kw.job_nodes n WHERE n.source = job_source AND n.job_id = job AND n.stop_time IS NULL) THEN
    IF cardinality(started || reopened) > 0 THEN
      INSERT INTO kw.promoted_metrics AS p (device_id, metric_id, job_id, source, owner, expires_at, origin)
      SELECT DISTINCT d, e.metric_id, job, job_source, e.owner, e.expires_at, e.origin
      FROM unnest(started || reopened) d, kw.promoted_metrics e
      WHERE e.source = job_source AND e.job_id = job
        AND d IN (SELECT n.node FROM kw.job_nodes_now(job, job_source) n)
      ON CONFLICT ON CONSTRAINT promoted_metrics_device_id_metric_id_source_job_id_owner_key DO NOTHING;
    END IF;
    IF run_start IS NOT NULL THEN
      PERFORM kw.sync_job_promotions(job_source, job,
        ARRAY(SELECT jsonb_array_elements_text(coalesce(said -> 'patterns', '[]'))));
    END IF;
  END IF;
  after := ARRAY(
    SELECT p.device_id || ' ' || p.metric_id FROM kw.promoted_metrics p WHERE p.source = job_source AND p.job_id = job);

  RETURN QUERY
  SELECT c.change, c.nodes FROM (VALUES
    ('started', started), ('reopened', reopened), ('corrected', corrected), ('ended', gone),
    ('enabled', ARRAY(SELECT DISTINCT split_part(a, ' ', 1) FROM unnest(after) a WHERE a <> ALL (before))),
    ('disabled', ARRAY(SELECT DISTINCT split_part(b, ' ', 1) FROM unnest(before) b WHERE b <> ALL (after)))
  ) c (change, nodes)
  WHERE cardinality(c.nodes) > 0;
END
$$;

-- As kw.sync_job for several. A job that cannot be stored holds up no other: its problem is what changed.
CREATE FUNCTION kw.sync_jobs(job_source text, said jsonb, seen_at timestamptz)
RETURNS TABLE (job_id bigint, change text, nodes text[], problem text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kw, pg_temp AS $$
#variable_conflict use_column
DECLARE
  one jsonb;
BEGIN
  FOR one IN SELECT jsonb_array_elements(said) LOOP
    BEGIN
      RETURN QUERY SELECT (one ->> 'job_id')::bigint, s.change, s.nodes, NULL::text FROM kw.sync_job(job_source, one, seen_at) s;
    EXCEPTION WHEN data_exception OR integrity_constraint_violation OR raise_exception THEN
      RETURN QUERY SELECT (one ->> 'job_id')::bigint, 'failed', NULL::text[], SQLERRM;
    END;
  END LOOP;
END
$$;

-- The jobs of a source that run as far as kw knows, and did when the scheduler was asked.
CREATE FUNCTION kw.jobs_said_to_run(job_source text, seen_at timestamptz) RETURNS SETOF bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, kw, pg_temp AS $$
  SELECT DISTINCT n.job_id FROM kw.job_nodes n
  WHERE n.source = job_source AND n.stop_time IS NULL
    AND n.start_time < seen_at - kw.setting_interval('scheduler_clock_error')
$$;

-- Notes that a scheduler which tells kw of its jobs was asked, and how that went. A source that is read is not of this kind.
CREATE FUNCTION kw.note_sync(job_source text, source_kind text, problem text, running int, took_ms float8) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kw, pg_temp AS $$
#variable_conflict use_variable
BEGIN
  INSERT INTO kw.job_sources AS s (name, kind) VALUES (job_source, source_kind) ON CONFLICT (name) DO NOTHING;
  PERFORM FROM kw.job_sources s WHERE s.name = job_source AND kw.is_read(s.kind);
  IF FOUND THEN
    RAISE EXCEPTION 'the source % is one whose tables are read', job_source USING ERRCODE = 'invalid_parameter_value';
  END IF;
  UPDATE kw.job_sources s SET
    state = CASE WHEN problem IS NULL THEN 'ok' ELSE 'away' END,
    checked_at = clock_timestamp(),
    last_good_at = CASE WHEN problem IS NULL THEN clock_timestamp() ELSE s.last_good_at END,
    last_error = left(problem, 500),
    running_jobs = coalesce(running, s.running_jobs),
    took_ms = coalesce(took_ms, s.took_ms)
  WHERE s.name = job_source;
END
$$;

-- What nodes of a source are called in metrics, where cutting at the first dot does not do; null leaves it as it is.
CREATE FUNCTION kw.set_node_names(job_source text, node_names text[], devices text[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, kw, pg_temp AS $$
  DELETE FROM kw.node_names n WHERE n.source = job_source
    AND (n.node, n.device_id) NOT IN (SELECT * FROM unnest(node_names, devices));
  INSERT INTO kw.node_names (source, node, device_id)
  SELECT job_source, x.node, x.device FROM unnest(node_names, devices) x (node, device)
  ON CONFLICT (source, node) DO NOTHING;
$$;

REVOKE ALL ON FUNCTION kw.told_node, kw.sync_job, kw.sync_jobs, kw.jobs_said_to_run, kw.note_sync, kw.set_node_names FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kw.told_node TO kw_writer, kw_scheduler;
GRANT EXECUTE ON FUNCTION kw.sync_jobs, kw.jobs_said_to_run, kw.note_sync, kw.set_node_names TO kw_scheduler;
