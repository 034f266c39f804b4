-- Starting and stopping jobs, enabling and disabling optional metrics. Identity is session_user: who logged in,
-- whatever role was set since. Schedulers (kw_scheduler, kw_admin) act for everybody; others for their own jobs.

CREATE FUNCTION kw.is_scheduler() RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
RETURN pg_has_role(session_user, 'kw_scheduler', 'USAGE');

-- Why a name cannot be stored, or NULL (the rules and words of src/lib/limits.ts).
CREATE FUNCTION kw.name_problem(kind text, name text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
RETURN CASE
  WHEN coalesce(name, '') = '' THEN 'the ' || kind || ' name is empty'
  WHEN octet_length(name) > 255
    THEN 'the ' || kind || ' name has ' || octet_length(name) || ' bytes, and at most 255 can be stored'
END;

-- Refuses names that cannot be stored.
CREATE FUNCTION kw.check_name(kind text, name text) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, kw, pg_temp AS $$
DECLARE
  problem text := kw.name_problem(kind, name);
BEGIN
  IF problem IS NOT NULL THEN
    RAISE EXCEPTION '%', problem USING ERRCODE = 'invalid_parameter_value';
  END IF;
END
$$;

-- The nodes that a job has now: none if it has not begun, has ended or is older than any job may be.
CREATE FUNCTION kw.job_nodes_now(job bigint, job_source text) RETURNS TABLE (node text, owner text)
LANGUAGE sql STABLE SET search_path = pg_catalog, kw, pg_temp AS $$
  SELECT DISTINCT n.node, n.owner FROM kw.nodetime_by_job n
  WHERE n.job_id = job AND n.source = job_source
    AND n.start_time <= now() AND (n.stop_time IS NULL OR n.stop_time > now())
    AND n.start_time > now() - kw.setting_interval('job_max_age')
$$;

-- Registers a job that begins, or gives nodes to one that runs. A node that the job has already keeps its time,
-- unless the new start is earlier (the job was registered late); where its time is over, another begins (requeue),
-- unless the start lies within the old one: then it was said before. Nodes that join get what is enabled for the
-- job. Returns the number of nodes that are new.
CREATE FUNCTION kw.job_start(
  job bigint,
  nodes text[],
  owner text DEFAULT NULL,
  source text DEFAULT 'kw',
  started timestamptz DEFAULT now(),
  name_id text DEFAULT NULL,
  submitted timestamptz DEFAULT NULL,
  comment text DEFAULT NULL,
  state text DEFAULT 'running'
) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kw, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  wanted_owner text := coalesce(owner, session_user);
  old_owner text;
  node text;
  new_nodes text[];
BEGIN
  IF NOT kw.is_scheduler() THEN
    IF NOT (SELECT s.value = 'true' FROM kw.settings s WHERE s.name = 'users_start_jobs') THEN
      RAISE EXCEPTION 'only a scheduler may start jobs here' USING ERRCODE = 'insufficient_privilege',
        HINT = 'ask for the role kw_scheduler, or for users_start_jobs = true in kw.settings';
    END IF;
    IF wanted_owner <> session_user THEN
      RAISE EXCEPTION 'only a scheduler may start jobs of others' USING ERRCODE = 'insufficient_privilege';
    END IF;
  END IF;
  IF job IS NULL OR cardinality(nodes) IS NULL OR cardinality(nodes) = 0 THEN
    RAISE EXCEPTION 'a job needs a number and nodes' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF cardinality(nodes) > 65536 THEN
    RAISE EXCEPTION 'more than 65536 nodes' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  PERFORM kw.check_name('source', source);
  PERFORM kw.check_name('owner', wanted_owner);
  PERFORM kw.check_name('state', state);
  IF name_id IS NOT NULL THEN
    PERFORM kw.check_name('job', name_id);
  END IF;
  IF octet_length(comment) > 4096 THEN
    RAISE EXCEPTION 'the comment has more than 4096 bytes' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  FOREACH node IN ARRAY nodes LOOP
    PERFORM kw.check_name('node', node);
  END LOOP;

  INSERT INTO kw.jobs AS j (source, job_id, name_id, owner, state, submitted, started, comment)
  VALUES (source, job, coalesce(name_id, job::text), wanted_owner, state, submitted, started, comment)
  ON CONFLICT ON CONSTRAINT jobs_pkey DO NOTHING;
  SELECT j.owner INTO old_owner FROM kw.jobs j WHERE j.source = source AND j.job_id = job FOR UPDATE;
  IF old_owner <> wanted_owner AND (NOT kw.is_scheduler() OR owner IS NOT NULL) THEN
    RAISE EXCEPTION 'job % belongs to %', job, old_owner USING ERRCODE = 'insufficient_privilege';
  END IF;

  UPDATE kw.job_nodes n SET start_time = started
  WHERE n.source = source AND n.job_id = job AND n.node = ANY (nodes) AND n.stop_time IS NULL
    AND n.start_time > started
    AND NOT EXISTS (
      SELECT FROM kw.job_nodes o
      WHERE o.source = source AND o.job_id = job AND o.node = n.node AND o.stop_time > started);
  WITH joined AS (
    INSERT INTO kw.job_nodes AS made (source, job_id, node, start_time)
    SELECT DISTINCT source, job, d, started FROM unnest(nodes) d
    WHERE NOT EXISTS (
      SELECT FROM kw.job_nodes o
      WHERE o.source = source AND o.job_id = job AND o.node = d
        AND (o.stop_time IS NULL OR (o.start_time <= started AND o.stop_time > started)))
    ON CONFLICT ON CONSTRAINT job_nodes_pkey DO UPDATE SET stop_time = NULL
    RETURNING made.node
  )
  SELECT coalesce(array_agg(joined.node), '{}') INTO new_nodes FROM joined;

  UPDATE kw.jobs j SET
    state = CASE WHEN running.now THEN state ELSE j.state END,
    started = least(j.started, started),
    stopped = CASE WHEN running.now THEN NULL ELSE j.stopped END,
    name_id = coalesce(name_id, j.name_id),
    submitted = coalesce(submitted, j.submitted),
    comment = coalesce(comment, j.comment)
  FROM (
    SELECT EXISTS (
      SELECT FROM kw.job_nodes n WHERE n.source = source AND n.job_id = job AND n.stop_time IS NULL) AS now
  ) running
  WHERE j.source = source AND j.job_id = job;

  INSERT INTO kw.promoted_metrics AS p (device_id, metric_id, job_id, source, owner, expires_at)
  SELECT DISTINCT d, e.metric_id, job, source, e.owner, e.expires_at
  FROM unnest(new_nodes) d, kw.promoted_metrics e
  WHERE e.source = source AND e.job_id = job
  ON CONFLICT ON CONSTRAINT promoted_metrics_device_id_metric_id_source_job_id_owner_key DO NOTHING;
  RETURN cardinality(new_nodes);
END
$$;

-- Ends a job, or takes nodes from it; the job ends with its last node. What was enabled for it ends too.
-- Returns the number of nodes that it lost. Stopping what has stopped is no error.
CREATE FUNCTION kw.job_stop(
  job bigint,
  source text DEFAULT 'kw',
  stopped timestamptz DEFAULT now(),
  nodes text[] DEFAULT NULL,
  state text DEFAULT 'stopped'
) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kw, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  job_owner text;
  ended int;
BEGIN
  PERFORM kw.check_name('state', state);
  SELECT j.owner INTO job_owner FROM kw.jobs j WHERE j.source = source AND j.job_id = job FOR UPDATE;
  IF job_owner IS NULL THEN
    RAISE EXCEPTION 'there is no job % of source %', job, source USING ERRCODE = 'no_data_found';
  END IF;
  IF NOT kw.is_scheduler() AND job_owner <> session_user THEN
    RAISE EXCEPTION 'job % belongs to %', job, job_owner USING ERRCODE = 'insufficient_privilege';
  END IF;
  UPDATE kw.job_nodes n SET stop_time = greatest(stopped, n.start_time)
  WHERE n.source = source AND n.job_id = job AND n.stop_time IS NULL AND (nodes IS NULL OR n.node = ANY (nodes));
  GET DIAGNOSTICS ended = ROW_COUNT;
  DELETE FROM kw.promoted_metrics p
  WHERE p.source = source AND p.job_id = job AND (nodes IS NULL OR p.device_id = ANY (nodes));
  UPDATE kw.jobs j SET stopped = greatest(stopped, j.started), state = state
  WHERE j.source = source AND j.job_id = job AND j.stopped IS NULL
    AND NOT EXISTS (
      SELECT FROM kw.job_nodes n WHERE n.source = source AND n.job_id = job AND n.stop_time IS NULL);
  RETURN ended;
END
$$;

-- Enables the optional metrics that a pattern matches, on devices, until the job ends or the seconds are over.
-- With a job: on its nodes, or on those of them that are given. Without: on the given devices, for 24 hours
-- unless told (setting promotion_without_end); users that are no scheduler need a running job there.
-- The pattern is kept as it is: kw matches it. Enabling again sets the end anew. Returns the devices.
-- Bounded, since collectors hold all of them in memory: see promotions_per_device and promotions_per_user.
CREATE FUNCTION kw.enable_metrics(
  devices text[],
  pattern text,
  job bigint DEFAULT NULL,
  source text DEFAULT 'kw',
  seconds float8 DEFAULT NULL
) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kw, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  wanted text[];
  foreign_devices text[];
  device text;
  ends timestamptz;
  most int;
BEGIN
  IF pattern IS NULL OR pattern = '' THEN
    RAISE EXCEPTION 'the pattern is empty' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF octet_length(pattern) > 1024 THEN
    RAISE EXCEPTION 'the pattern has % bytes, and at most 1024 are allowed', octet_length(pattern)
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF seconds IS NOT NULL AND NOT (seconds > 0 AND seconds <= 10 * 366 * 86400.0) THEN
    RAISE EXCEPTION 'the time must be more than 0 s and at most 10 years' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF cardinality(devices) > 65536 THEN
    RAISE EXCEPTION 'more than 65536 devices' USING ERRCODE = 'invalid_parameter_value';
  END IF;

  IF job IS NOT NULL THEN
    SELECT array_agg(n.node) INTO wanted FROM kw.job_nodes_now(job, source) n
    WHERE kw.is_scheduler() OR n.owner = session_user;
    IF wanted IS NULL THEN
      IF EXISTS (SELECT FROM kw.job_nodes_now(job, source)) THEN
        RAISE EXCEPTION 'job % belongs to another user', job USING ERRCODE = 'insufficient_privilege';
      END IF;
      RAISE EXCEPTION 'job % of source % does not run', job, source USING ERRCODE = 'no_data_found';
    END IF;
    IF devices IS NOT NULL AND NOT kw.is_scheduler() THEN
      foreign_devices := ARRAY(SELECT d FROM unnest(devices) d WHERE d <> ALL (wanted));
    END IF;
    wanted := coalesce(devices, wanted);
    ends := now() + make_interval(secs => seconds);
  ELSE
    source := NULL;
    wanted := devices;
    ends := now() + coalesce(make_interval(secs => seconds), kw.setting_interval('promotion_without_end'));
    IF NOT kw.is_scheduler() THEN
      foreign_devices := ARRAY(
        SELECT d FROM unnest(devices) d
        WHERE NOT EXISTS (
          SELECT FROM kw.nodetime_by_job n
          WHERE n.node = d AND n.owner = session_user
            AND n.start_time <= now() AND (n.stop_time IS NULL OR n.stop_time > now())
            AND n.start_time > now() - kw.setting_interval('job_max_age')));
    END IF;
  END IF;
  IF cardinality(foreign_devices) > 0 THEN
    RAISE EXCEPTION 'not a node of % now: %',
      CASE WHEN job IS NULL THEN 'a job of yours' ELSE 'job ' || job END,
      left(array_to_string(foreign_devices[1:10], ', '), 1000) USING ERRCODE = 'insufficient_privilege';
  END IF;
  IF coalesce(cardinality(wanted), 0) = 0 THEN
    RAISE EXCEPTION 'no devices' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  FOREACH device IN ARRAY wanted LOOP
    PERFORM kw.check_name('device', device);
  END LOOP;

  RETURN QUERY
  INSERT INTO kw.promoted_metrics AS p (device_id, metric_id, job_id, source, owner, expires_at)
  SELECT DISTINCT d, pattern, job, source, session_user::text, ends FROM unnest(wanted) d
  ON CONFLICT ON CONSTRAINT promoted_metrics_device_id_metric_id_source_job_id_owner_key
  DO UPDATE SET expires_at = excluded.expires_at, enabled_at = now()
  RETURNING p.device_id;

  most := (SELECT (s.value #>> '{}')::int FROM kw.settings s WHERE s.name = 'promotions_per_device');
  SELECT p.device_id INTO device FROM kw.promoted_metrics p
  WHERE p.device_id = ANY (wanted) AND p.owner = session_user
    AND p.source IS NOT DISTINCT FROM source AND p.job_id IS NOT DISTINCT FROM job
  GROUP BY p.device_id HAVING count(*) > most LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION '% patterns are enabled on % already, and more are not allowed', most, device
      USING ERRCODE = 'configuration_limit_exceeded',
        HINT = 'disable some, or write one pattern for several metrics: kw enabled shows them';
  END IF;
  IF NOT kw.is_scheduler() THEN
    most := (SELECT (s.value #>> '{}')::int FROM kw.settings s WHERE s.name = 'promotions_per_user');
    IF (SELECT count(*) FROM kw.promoted_metrics p WHERE p.owner = session_user) > most THEN
      RAISE EXCEPTION 'you may enable % patterns, each device counted, and these would be more', most
        USING ERRCODE = 'configuration_limit_exceeded', HINT = 'disable some: kw enabled shows them';
    END IF;
  END IF;
END
$$;

-- Takes back what was enabled; null means any pattern.
--   for a job: what was enabled for it, on the given devices or on all; by schedulers, by the owner of the job
--     and by whoever enabled it
--   on devices: what was enabled by device there, one's own, or for schedulers everybody's; not that of jobs
--   neither: everything of one's own
-- Returns the number of patterns, counted on each device.
CREATE FUNCTION kw.disable_metrics(
  devices text[],
  pattern text DEFAULT NULL,
  job bigint DEFAULT NULL,
  source text DEFAULT 'kw'
) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kw, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  gone int;
BEGIN
  DELETE FROM kw.promoted_metrics p
  WHERE (devices IS NULL OR p.device_id = ANY (devices))
    AND (pattern IS NULL OR p.metric_id = pattern)
    AND CASE
      WHEN job IS NOT NULL THEN p.job_id = job AND p.source = source AND (
        p.owner = session_user OR kw.is_scheduler()
        OR EXISTS (
          SELECT FROM kw.nodetime_by_job n
          WHERE n.job_id = job AND n.source = source AND n.owner = session_user))
      WHEN devices IS NOT NULL THEN p.job_id IS NULL AND (p.owner = session_user OR kw.is_scheduler())
      ELSE p.owner = session_user
    END;
  GET DIAGNOSTICS gone = ROW_COUNT;
  RETURN gone;
END
$$;

REVOKE ALL ON FUNCTION kw.is_scheduler, kw.name_problem, kw.check_name, kw.job_nodes_now, kw.job_start, kw.job_stop,
  kw.enable_metrics, kw.disable_metrics, kw.setting_interval, kw.raw_dropped_before, kw.notify_promotions FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kw.setting_interval, kw.raw_dropped_before TO kw_reader, kw_writer, kw_scheduler, kw_collector;
GRANT EXECUTE ON FUNCTION kw.job_start, kw.job_stop, kw.enable_metrics, kw.disable_metrics TO kw_writer, kw_scheduler;
