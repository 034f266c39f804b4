-- What users may do, by the name of the caller instead of that of the login; and what they may push.

-- The name of the caller, where nobody may act without one.
CREATE FUNCTION kw.require_caller() RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, kw, pg_temp AS $$
DECLARE
  caller text := kw.caller_name();
BEGIN
  IF caller IS NULL THEN
    RAISE EXCEPTION 'nobody said who you are' USING ERRCODE = 'insufficient_privilege',
      HINT = 'send a token that names a user (claim sub)';
  END IF;
  PERFORM kw.check_name('user', caller);
  RETURN caller;
END
$$;
-- Registers a job that begins, or gives nodes to one that runs. A node that the job has already keeps its time,
-- unless the new start is earlier (the job was registered late); where its time is over, another begins (requeue),
-- unless the start lies within the old one: then it was said before. Nodes that join get what is enabled for the
-- job, and what it asked for. Returns the number of nodes that are new.
CREATE OR REPLACE FUNCTION kw.job_start(
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
  caller text := kw.require_caller();
  wanted_owner text := coalesce(owner, caller);
  old_owner text;
  node text;
  new_nodes text[];
BEGIN
  IF NOT kw.is_scheduler() THEN
    IF NOT (SELECT s.value = 'true' FROM kw.settings s WHERE s.name = 'users_start_jobs') THEN
      RAISE EXCEPTION 'only a scheduler may start jobs here' USING ERRCODE = 'insufficient_privilege',
        HINT = 'ask for the role kw_scheduler, or for users_start_jobs = true in kw.settings';
    END IF;
    IF wanted_owner <> caller THEN
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

  INSERT INTO kw.promoted_metrics AS p (device_id, metric_id, job_id, source, owner, expires_at, origin)
  SELECT DISTINCT d, e.metric_id, job, source, e.owner, e.expires_at, e.origin
  FROM unnest(new_nodes) d, kw.promoted_metrics e
  WHERE e.source = source AND e.job_id = job
  ON CONFLICT ON CONSTRAINT promoted_metrics_device_id_metric_id_source_job_id_owner_key DO NOTHING;
  RETURN cardinality(new_nodes);
END
$$;

-- Ends a job, or takes nodes from it; the job ends with its last node. What was enabled for it ends too.
-- Returns the number of nodes that it lost. Stopping what has stopped is no error.
CREATE OR REPLACE FUNCTION kw.job_stop(
  job bigint,
  source text DEFAULT 'kw',
  stopped timestamptz DEFAULT now(),
  nodes text[] DEFAULT NULL,
  state text DEFAULT 'stopped'
) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kw, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  caller text := kw.require_caller();
  job_owner text;
  ended int;
BEGIN
  PERFORM kw.check_name('state', state);
  SELECT j.owner INTO job_owner FROM kw.jobs j WHERE j.source = source AND j.job_id = job FOR UPDATE;
  IF job_owner IS NULL THEN
    RAISE EXCEPTION 'there is no job % of source %', job, source USING ERRCODE = 'no_data_found';
  END IF;
  IF NOT kw.is_scheduler() AND job_owner <> caller THEN
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
CREATE OR REPLACE FUNCTION kw.enable_metrics(
  devices text[],
  pattern text,
  job bigint DEFAULT NULL,
  source text DEFAULT 'kw',
  seconds float8 DEFAULT NULL
) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kw, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  caller text := kw.require_caller();
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
    WHERE kw.is_scheduler() OR n.owner = caller;
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
        SELECT d FROM unnest(devices) d WHERE NOT kw.has_node_now(caller, d));
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
  SELECT DISTINCT d, pattern, job, source, caller, ends FROM unnest(wanted) d
  ON CONFLICT ON CONSTRAINT promoted_metrics_device_id_metric_id_source_job_id_owner_key
  DO UPDATE SET expires_at = excluded.expires_at, enabled_at = now()
  RETURNING p.device_id;

  most := (SELECT (s.value #>> '{}')::int FROM kw.settings s WHERE s.name = 'promotions_per_device');
  SELECT p.device_id INTO device FROM kw.promoted_metrics p
  WHERE p.device_id = ANY (wanted) AND p.owner = caller
    AND p.source IS NOT DISTINCT FROM source AND p.job_id IS NOT DISTINCT FROM job
  GROUP BY p.device_id HAVING count(*) > most LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION '% patterns are enabled on % already, and more are not allowed', most, device
      USING ERRCODE = 'configuration_limit_exceeded',
        HINT = 'disable some, or write one pattern for several metrics: kw enabled shows them';
  END IF;
  IF NOT kw.is_scheduler() THEN
    most := (SELECT (s.value #>> '{}')::int FROM kw.settings s WHERE s.name = 'promotions_per_user');
    IF (SELECT count(*) FROM kw.promoted_metrics p WHERE p.owner = caller) > most THEN
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
CREATE OR REPLACE FUNCTION kw.disable_metrics(
  devices text[],
  pattern text DEFAULT NULL,
  job bigint DEFAULT NULL,
  source text DEFAULT 'kw'
) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kw, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  caller text := kw.require_caller();
  gone int;
BEGIN
  DELETE FROM kw.promoted_metrics p
  WHERE (devices IS NULL OR p.device_id = ANY (devices))
    AND (pattern IS NULL OR p.metric_id = pattern)
    AND CASE
      WHEN job IS NOT NULL THEN p.job_id = job AND p.source = source AND (
        p.owner = caller OR kw.is_scheduler()
        OR EXISTS (
          SELECT FROM kw.nodetime_local n
          WHERE n.job_id = job AND n.source = source AND n.owner = caller))
      WHEN devices IS NOT NULL THEN p.job_id IS NULL AND (p.owner = caller OR kw.is_scheduler())
      ELSE p.owner = caller
    END;
  GET DIAGNOSTICS gone = ROW_COUNT;
  RETURN gone;
END
$$;

ALTER TABLE kw.promoted_metrics ALTER COLUMN owner SET DEFAULT kw.caller_name();

INSERT INTO kw.settings (name, value, description) VALUES
  ('days_per_push', '16', 'different days (UTC) that one call of a push may write into: each is a partition or some chunks');
UPDATE kw.settings SET description = 'whether users may push values of metrics that a collector reads'
WHERE name = 'push_collected_metrics';

-- Whether a token allows a name: one of those in its claim, as written or, where they end in `*` or `.*`, by what
-- stands before that. Never a regular expression: SQL's engine can be made to run for hours.
CREATE FUNCTION kw.claim_allows(claim jsonb, name text) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
RETURN CASE WHEN jsonb_typeof(claim) = 'array' THEN EXISTS (
  SELECT FROM jsonb_array_elements_text(claim) AS allowed (text)
  WHERE CASE
    WHEN right(allowed.text, 2) = '.*' THEN starts_with(name, left(allowed.text, -2))
    WHEN right(allowed.text, 1) = '*' THEN starts_with(name, left(allowed.text, -1))
    ELSE allowed.text = name
  END)
ELSE false END;

-- Whether a collector reads a metric of this name of any device. An entry for a Prometheus page stands for all metrics
-- that begin with prom_.
CREATE INDEX metric_catalogue_metric ON kw.metric_catalogue (metric_id);
CREATE INDEX metric_catalogue_pages ON kw.metric_catalogue (collector_id) WHERE starts_with(protocol, 'prometheus');
CREATE FUNCTION kw.is_collected_anywhere(metric text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
RETURN EXISTS (SELECT FROM kw.metric_catalogue c WHERE c.metric_id = metric)
  OR starts_with(metric, 'prom_') AND EXISTS (
    SELECT FROM kw.metric_catalogue c WHERE starts_with(c.protocol, 'prometheus'));

-- Stores what a user pushes: arrays of equal length, one element a sample; the labels of a sample may be null.
-- Returns each sample (counted from 1) with why it was refused, or null and the labels that it was stored with.
--
-- Users push for the devices of their token and for the nodes that they have at this moment in running jobs, and never
-- a metric of which a collector reads any (setting push_collected_metrics), or nobody could trust it. Programs of the
-- site (kw_service) push for any device, what no collector reads there. Labels that begin with `_` are not for users
-- to set and are removed; `_pushed_by` says who it was. Numbers and truth values of labels become text.
-- SECURITY DEFINER: nobody else but collectors may insert.
CREATE FUNCTION kw.store_samples(
  timestamps timestamptz[],
  devices text[],
  metrics text[],
  sample_values float8[],
  label_sets jsonb[]
) RETURNS TABLE (sample int, reason text, stored_labels jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kw, pg_temp AS $$
DECLARE
  caller text := kw.require_caller();
  claims jsonb := kw.caller_claims();
  is_free boolean := kw.is_service();
  length int := coalesce(cardinality(timestamps), 0);
  oldest timestamptz := greatest(now() - kw.setting_interval('max_past'), kw.raw_dropped_before());
  newest timestamptz := now() + kw.setting_interval('max_future');
  may_forge boolean := (SELECT s.value = 'true' FROM kw.settings s WHERE s.name = 'push_collected_metrics');
  most_days bigint := (SELECT (s.value #>> '{}')::bigint FROM kw.settings s WHERE s.name = 'days_per_push');
  sets_per_day bigint := (SELECT (s.value #>> '{}')::bigint FROM kw.settings s WHERE s.name = 'label_sets_per_day');
  sets_of_all bigint := (SELECT (s.value #>> '{}')::bigint FROM kw.settings s WHERE s.name = 'sets_per_user_and_day');
  verdicts text[];
  stored_sets jsonb[];
BEGIN
  IF array_remove(ARRAY[coalesce(cardinality(devices), 0), coalesce(cardinality(metrics), 0),
      coalesce(cardinality(sample_values), 0), coalesce(cardinality(label_sets), 0)], length) <> '{}' THEN
    RAISE EXCEPTION 'the arrays differ in length' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF length > 100000 THEN
    RAISE EXCEPTION 'more than 100000 samples at once' USING ERRCODE = 'invalid_parameter_value';
  END IF;

  WITH given AS MATERIALIZED (
    SELECT u.at, u.device, u.metric, u.number, u.ordinal, coalesce(u.labels, '{}') AS labels
    FROM unnest(timestamps, devices, metrics, sample_values, label_sets)
      WITH ORDINALITY AS u (at, device, metric, number, labels, ordinal)
  ), own AS (
    SELECT g.*, CASE WHEN jsonb_typeof(g.labels) <> 'object' OR g.labels = '{}' THEN g.labels ELSE
      (SELECT coalesce(jsonb_object_agg(e.key,
          CASE WHEN jsonb_typeof(e.value) IN ('number', 'boolean') THEN to_jsonb(e.value #>> '{}') ELSE e.value END), '{}')
       FROM jsonb_each(g.labels) e WHERE NOT starts_with(e.key, '_')) END AS own_labels
    FROM given g
  ), foreign_devices AS MATERIALIZED (
    SELECT g.device FROM given g WHERE NOT is_free AND g.device IS NOT NULL GROUP BY g.device
    HAVING NOT kw.claim_allows(claims -> 'devices', g.device) AND NOT kw.has_node_now(caller, g.device)
  ), foreign_metrics AS MATERIALIZED (
    SELECT g.metric FROM given g
    WHERE claims ? 'metrics' AND jsonb_typeof(claims -> 'metrics') <> 'null' AND g.metric IS NOT NULL
    GROUP BY g.metric HAVING NOT kw.claim_allows(claims -> 'metrics', g.metric)
  ), collected AS MATERIALIZED (
    SELECT g.device, g.metric FROM given g WHERE NOT may_forge GROUP BY g.device, g.metric
    HAVING kw.is_collected(g.device, g.metric)
  ), collected_anywhere AS MATERIALIZED (
    SELECT g.metric FROM given g WHERE NOT may_forge AND NOT is_free GROUP BY g.metric
    HAVING kw.is_collected_anywhere(g.metric)
  ), judged AS (
    SELECT o.at, o.device, o.metric, o.ordinal, o.own_labels,
      coalesce(
        kw.name_problem('device', o.device),
        kw.name_problem('metric', o.metric),
        CASE
          WHEN o.device IN (SELECT f.device FROM foreign_devices f)
            THEN 'no device of yours: neither one of your token nor a node of a job of yours that runs now'
          WHEN o.metric IN (SELECT f.metric FROM foreign_metrics f)
            THEN 'your token does not allow this metric'
          WHEN (o.device, o.metric) IN (SELECT c.device, c.metric FROM collected c)
            THEN 'a collector reads this metric of this device: choose another name for yours'
          WHEN o.metric IN (SELECT c.metric FROM collected_anywhere c)
            THEN 'a collector reads a metric of this name: choose another one for yours'
          WHEN o.number IS NULL THEN 'there is no value'
          WHEN o.at IS NULL THEN 'there is no timestamp'
          WHEN o.at > newest
            AND to_timestamp(extract(epoch FROM o.at) / 1000) BETWEEN oldest AND newest
            THEN 'the timestamp lies too far in the future (milliseconds instead of seconds?)'
          WHEN o.at > newest THEN 'the timestamp lies too far in the future'
          WHEN o.at < oldest THEN 'the timestamp lies too far in the past'
        END,
        kw.labels_problem(o.own_labels)) AS problem
    FROM own o
  ), checked AS MATERIALIZED (
    SELECT j.at, j.device, j.metric, j.ordinal, j.own_labels,
      hashtextextended(j.device || E'\n' || j.own_labels::text, 0) AS hash,
      coalesce(j.problem, CASE WHEN d.rank > most_days
        THEN 'values of more than ' || most_days || ' different days in one call' END) AS problem
    FROM judged j LEFT JOIN (
      SELECT date_trunc('day', k.at AT TIME ZONE 'UTC') AS day, row_number() OVER (ORDER BY min(k.ordinal)) AS rank
      FROM judged k WHERE k.problem IS NULL GROUP BY 1
    ) d ON d.day = date_trunc('day', j.at AT TIME ZONE 'UTC')
  ), new_sets AS (
    SELECT n.metric, n.hash, row_number() OVER (PARTITION BY n.metric ORDER BY n.first_ordinal) AS rank,
      row_number() OVER (ORDER BY n.first_ordinal) AS rank_of_all
    FROM (
      SELECT c.metric, c.hash, min(c.ordinal) AS first_ordinal
      FROM checked c
      WHERE c.problem IS NULL AND NOT EXISTS (
        SELECT FROM kw.pushed_label_sets p
        WHERE p.day = current_date AND p.owner = caller AND p.metric_id = c.metric AND p.hash = c.hash)
      GROUP BY c.metric, c.hash
    ) n
  ), judged_sets AS (
    SELECT n.metric, n.hash, CASE
      WHEN n.rank + (SELECT count(*) FROM kw.pushed_label_sets p
        WHERE p.day = current_date AND p.owner = caller AND p.metric_id = n.metric) > sets_per_day
        THEN 'you pushed ' || sets_per_day || ' different devices and label sets for this metric today, which is the limit'
      WHEN n.rank_of_all + (SELECT count(*) FROM kw.pushed_label_sets p
        WHERE p.day = current_date AND p.owner = caller) > sets_of_all
        THEN 'you pushed ' || sets_of_all || ' different metrics, devices and label sets today, which is the limit'
      END AS problem
    FROM new_sets n
  ), decided AS MATERIALIZED (
    SELECT c.ordinal, c.own_labels, coalesce(c.problem, a.problem) AS verdict
    FROM checked c LEFT JOIN judged_sets a ON c.problem IS NULL AND a.metric = c.metric AND a.hash = c.hash
  ), remembered AS (
    INSERT INTO kw.pushed_label_sets (day, owner, metric_id, hash)
    SELECT current_date, caller, a.metric, a.hash FROM judged_sets a WHERE a.problem IS NULL
    ON CONFLICT DO NOTHING
  )
  SELECT array_agg(d.verdict ORDER BY d.ordinal),
    array_agg(CASE WHEN d.verdict IS NULL THEN d.own_labels || jsonb_build_object('_pushed_by', caller) END ORDER BY d.ordinal)
  INTO verdicts, stored_sets FROM decided d;

  PERFORM kw.ensure_storage(min(u.at), max(u.at))
  FROM unnest(timestamps, verdicts) AS u (at, verdict) WHERE u.verdict IS NULL
  GROUP BY date_trunc('day', u.at AT TIME ZONE 'UTC');

  INSERT INTO kw.metrics (timestamp, device_id, metric_id, value, labels)
  SELECT u.at, u.device, u.metric, u.number, u.labels
  FROM unnest(timestamps, devices, metrics, sample_values, stored_sets, verdicts)
    AS u (at, device, metric, number, labels, verdict)
  WHERE u.verdict IS NULL
  ORDER BY u.device, u.at;

  RETURN QUERY
  SELECT u.ordinal::int, u.verdict, u.labels
  FROM unnest(verdicts, stored_sets) WITH ORDINALITY AS u (verdict, labels, ordinal) ORDER BY u.ordinal;
END
$$;

-- The same: the samples that were refused, and why. All or nothing: roll back when there are any.
CREATE OR REPLACE FUNCTION kw.insert_samples(
  timestamps timestamptz[],
  devices text[],
  metrics text[],
  sample_values float8[],
  label_sets jsonb[]
) RETURNS TABLE (sample int, reason text)
LANGUAGE sql SECURITY INVOKER SET search_path = pg_catalog, kw, pg_temp AS $$
  SELECT s.sample, s.reason
  FROM kw.store_samples(timestamps, devices, metrics, sample_values, label_sets) s
  WHERE s.reason IS NOT NULL
$$;

-- Deletes values that the caller pushed: of some devices and metrics (null: of all), between two timestamps
-- (bounds included; null: open), with these labels. Without dry_run => false it only counts. Returns the number.
-- A token for some devices or metrics deletes only theirs. Values of before this migration say `_inserted_by`.
CREATE OR REPLACE FUNCTION kw.delete_pushed(
  devices text[],
  metrics text[],
  first timestamptz DEFAULT NULL,
  last timestamptz DEFAULT NULL,
  wanted_labels jsonb DEFAULT '{}',
  dry_run boolean DEFAULT true
) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kw, pg_temp AS $$
DECLARE
  caller text := kw.require_caller();
  claims jsonb := kw.caller_claims();
  series record;
  part bigint;
  total bigint := 0;
  low timestamptz := coalesce(first, '-infinity');
  high timestamptz := coalesce(last, 'infinity');
BEGIN
  -- TimescaleDB bounds what a statement may unpack; the series below are all that is unpacked.
  PERFORM set_config('timescaledb.max_tuples_decompressed_per_dml_transaction', '0', true);
  -- One statement a series: device, metric and labels are the keys by which compressed chunks find their rows.
  FOR series IN
    SELECT m.device_id, m.metric_id, m.labels, count(*) AS rows, min(m.timestamp) AS low, max(m.timestamp) AS high
    FROM kw.metrics m
    WHERE coalesce(m.labels ->> '_pushed_by', m.labels ->> '_inserted_by') = caller
      AND (devices IS NULL OR m.device_id = ANY (devices))
      AND (metrics IS NULL OR m.metric_id = ANY (metrics))
      AND m.timestamp >= low AND m.timestamp <= high
      AND m.labels @> coalesce(wanted_labels, '{}')
    GROUP BY m.device_id, m.metric_id, m.labels
  LOOP
    CONTINUE WHEN jsonb_typeof(claims -> 'metrics') <> 'null' AND NOT kw.claim_allows(claims -> 'metrics', series.metric_id);
    CONTINUE WHEN jsonb_typeof(claims -> 'devices') <> 'null' AND NOT kw.claim_allows(claims -> 'devices', series.device_id)
      AND NOT kw.has_node_now(caller, series.device_id);
    IF dry_run THEN
      total := total + series.rows;
    ELSE
      DELETE FROM kw.metrics m
      WHERE m.device_id = series.device_id AND m.metric_id = series.metric_id AND m.labels = series.labels
        AND m.timestamp >= series.low AND m.timestamp <= series.high;
      GET DIAGNOSTICS part = ROW_COUNT;
      total := total + part;
    END IF;
  END LOOP;
  RETURN total;
END
$$;

REVOKE ALL ON FUNCTION kw.require_caller, kw.claim_allows, kw.is_collected_anywhere, kw.store_samples
  FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kw.store_samples TO kw_writer;
