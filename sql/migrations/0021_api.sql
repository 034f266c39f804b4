-- The API of Kwollect, as functions: what PostgREST offers as /rpc/NAME, kw serve answers by the same rules, and psql and
-- Grafana may call. Arguments, their names and their meaning are Kwollect's; what it lacks is said at each function.
-- SECURITY INVOKER, all of them: they read the views that show the caller what it may see, and write by the checked
-- functions of the schema kw. They have a search path of their own, and no argument becomes part of a statement.
--
-- Errors have the SQLSTATEs that PostgREST turns into answers: class 22 is 400, 42501 is 403 (or 401 for callers that
-- nobody knows), PT404 is 404.

-- Names of a list such as `a,b`; NULL for none.
CREATE FUNCTION kw.api_names(kind text, given text[]) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, kw, pg_temp AS $$
DECLARE
  names text[] := ARRAY(SELECT DISTINCT n FROM unnest(given) g, unnest(string_to_array(g, ',')) n WHERE n <> '');
  name text;
BEGIN
  FOREACH name IN ARRAY names LOOP
    PERFORM kw.check_name(kind, name);
  END LOOP;
  RETURN nullif(names, '{}');
END
$$;

-- A time: epoch seconds, or whatever PostgreSQL reads as one, in the time zone of the session where it has no offset. A
-- plus that arrived as a blank is understood. A local time that exists twice or never is refused.
CREATE FUNCTION kw.api_time(name text, given text) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  said text := btrim(given);
  at timestamptz;
  naive timestamp;
  readings timestamptz[];
BEGIN
  IF said = '' OR said IS NULL THEN
    RETURN NULL;
  END IF;
  IF said ~ '^[+-]?(\d+\.?\d*|\.\d+)([eE][+ -]?\d{1,2})?$' THEN
    RETURN to_timestamp(replace(said, ' ', '+')::float8);
  END IF;
  said := regexp_replace(said, '(\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?) (\d{2}(?::?\d{2})?)$', '\1+\2');
  BEGIN
    at := said::timestamptz;
  EXCEPTION WHEN data_exception THEN
    RAISE EXCEPTION '%: % is no time', name, quote_literal(left(given, 60)) USING ERRCODE = 'invalid_datetime_format',
      HINT = 'write it as 2020-12-31T22:00:00+01:00 or as seconds since 1970';
  END;
  IF said ~ '^\d{4}-\d{2}-\d{2}([T ]\d{1,2}(:\d{2}(:\d{2}(\.\d+)?)?)?)?$' THEN
    naive := said::timestamp;
    readings := ARRAY(
      SELECT at + make_interval(mins => m) FROM generate_series(-180, 180, 30) m
      WHERE (at + make_interval(mins => m)) AT TIME ZONE current_setting('TimeZone') = naive ORDER BY 1);
    IF cardinality(readings) = 0 THEN
      readings := ARRAY[at - ((at AT TIME ZONE current_setting('TimeZone')) - naive), at];
    END IF;
    IF cardinality(readings) > 1 THEN
      RAISE EXCEPTION '%: the local time % exists %', name, given,
        CASE WHEN readings[1] AT TIME ZONE current_setting('TimeZone') = naive THEN 'twice' ELSE 'never' END
        USING ERRCODE = 'invalid_datetime_format', HINT = format('write %sZ or %sZ',
          to_char(readings[1] AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS'),
          to_char(readings[2] AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS'));
    END IF;
  END IF;
  RETURN at;
END
$$;

-- Devices as they are called here: names are cut at the first dot, unless they are IP addresses or there is a device of
-- exactly that name, configured or with values in a time.
CREATE FUNCTION kw.api_devices(names text[], first timestamptz, last timestamptz) RETURNS text[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan AS $$
  SELECT array_agg(DISTINCT CASE
    WHEN s.short = n.name THEN n.name
    WHEN EXISTS (SELECT FROM kw.catalogue_visible c WHERE c.device_id = n.name OR (c.alias = n.name AND c.alias <> ''))
      THEN n.name
    WHEN EXISTS (SELECT FROM kw.metrics_visible m WHERE m.device_id = n.name AND m.timestamp >= first AND m.timestamp <= last)
      THEN n.name
    ELSE s.short END)
  FROM unnest(names) AS n (name) CROSS JOIN LATERAL (SELECT kw.short_node_name(n.name) AS short) s
$$;

-- Who and when of get_metrics: a job gives the devices and the times that are not given; one missing bound lies 5
-- minutes beside the other; without any it is the last 5 minutes.
CREATE FUNCTION kw.api_selection(
  job_id bigint, nodes text, devices text, start_time text, end_time text,
  OUT names text[], OUT first timestamptz, OUT last timestamptz)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, kw, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  job record;
BEGIN
  -- Callers who may see nothing are not told which jobs there are.
  PERFORM FROM kw.metrics_visible LIMIT 0;
  names := kw.api_names('device', ARRAY[nodes, devices]);
  first := kw.api_time('start_time', start_time);
  last := kw.api_time('end_time', end_time);
  IF job_id IS NULL AND names IS NULL THEN
    RAISE EXCEPTION 'Missing ''devices'', ''nodes'' or ''job_id'' argument' USING ERRCODE = 'invalid_parameter_value',
      HINT = 'write devices=taurus-1 or job_id=1234';
  END IF;
  IF job_id IS NOT NULL THEN
    SELECT array_agg(DISTINCT n.node) AS nodes, min(n.start_time) AS first,
      CASE WHEN bool_and(n.stop_time IS NOT NULL) THEN max(n.stop_time) ELSE now() END AS last
    INTO job FROM kw.job_nodetimes(job_id) n WHERE n.node IS NOT NULL;
    IF job.nodes IS NULL THEN
      RAISE EXCEPTION 'there is no job %', job_id USING ERRCODE = 'PT404', HINT = 'api.jobs lists the jobs';
    END IF;
    names := coalesce(names, job.nodes);
    first := coalesce(first, job.first);
    last := coalesce(last, job.last);
  END IF;
  last := coalesce(last, first + interval '5 minutes', now());
  first := coalesce(first, last - interval '5 minutes');
  names := kw.api_devices(names, first, last);
END
$$;

-- Values of devices or of a job, in the order of time. An aliased value is under its device and under its alias, there
-- summed with those of the same time, metric and labels. Values are numbers: rows whose value is none are left out,
-- except texts (label value_str), shown as NULL to who names their metric; with nan => 'null' all are shown.
--   summary  mean of 5 minutes instead, last value for counters (_total)
--   as_rate  change per second, from the second value of a series on; a fall is a reset to zero
CREATE FUNCTION api.get_metrics(
  job_id bigint DEFAULT NULL,
  nodes text DEFAULT NULL,
  devices text DEFAULT NULL,
  metrics text DEFAULT NULL,
  start_time text DEFAULT NULL,
  end_time text DEFAULT NULL,
  summary boolean DEFAULT false,
  as_rate boolean DEFAULT false,
  nan text DEFAULT NULL
) RETURNS TABLE ("timestamp" timestamptz, device_id text, metric_id text, value double precision, labels jsonb)
-- Plans are made for the arguments of each call: only so are chunks left out before they are locked. Rows go into a
-- buffer that is on disk where it is large; kw serve reads in slices instead.
LANGUAGE plpgsql STABLE ROWS 10000
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off AS $$
#variable_conflict use_column
DECLARE
  wanted record;
  wanted_metrics text[] := kw.api_names('metric', ARRAY[metrics]);
  by_rate boolean := coalesce(as_rate, false);
  by_summary boolean := coalesce(summary, false);
  show_all boolean := coalesce(nullif(nan, ''), 'omit') = 'null';
BEGIN
  IF coalesce(nullif(nan, ''), 'omit') NOT IN ('null', 'omit') THEN
    RAISE EXCEPTION 'nan: there is no %', quote_literal(left(nan, 60)) USING ERRCODE = 'invalid_parameter_value',
      HINT = 'write nan=null to see values that are no finite numbers as null, or nan=omit';
  END IF;
  SELECT * INTO wanted FROM kw.api_selection(job_id, nodes, devices, start_time, end_time);
  wanted.first := CASE WHEN by_summary AND isfinite(wanted.first)
    THEN date_bin('5 minutes', wanted.first, '2000-01-01 00:00Z') ELSE wanted.first END;

  RETURN QUERY
  WITH stored AS (
    SELECT m.timestamp, m.device_id, m.metric_id, m.value, m.labels, m.device_alias
    FROM kw.metrics_visible m
    WHERE NOT by_summary AND m.timestamp >= wanted.first AND m.timestamp <= wanted.last
      AND (m.device_id = ANY (wanted.names) OR m.device_alias = ANY (wanted.names))
      AND (wanted_metrics IS NULL OR m.metric_id = ANY (wanted_metrics))
    UNION ALL
    SELECT s.bucket, s.device_id, s.metric_id, s.value, s.labels, s.device_alias
    FROM kw.summary_visible s
    WHERE by_summary AND s.bucket >= wanted.first AND s.bucket <= wanted.last
      AND (s.device_id = ANY (wanted.names) OR s.device_alias = ANY (wanted.names))
      AND (wanted_metrics IS NULL OR s.metric_id = ANY (wanted_metrics))
  ), seen AS (
    SELECT s.timestamp, s.device_id, s.metric_id, s.value,
      CASE WHEN s.device_alias IS NULL THEN s.labels ELSE s.labels - '_device_alias' END AS labels
    FROM stored s WHERE s.device_id = ANY (wanted.names)
    UNION ALL
    SELECT s.timestamp, s.device_alias, s.metric_id, sum(s.value),
      (s.labels - '_device_alias') || jsonb_build_object('_device_orig', array_agg(s.device_id ORDER BY s.device_id))
    FROM stored s WHERE s.device_alias = ANY (wanted.names)
    GROUP BY s.timestamp, s.metric_id, s.labels, s.device_alias
  ), series AS (
    SELECT DISTINCT ON (s.device_id, s.metric_id, k.key, s.timestamp)
      s.timestamp, s.device_id, s.metric_id, s.value, s.labels, k.key
    FROM seen s
    CROSS JOIN LATERAL (SELECT s.labels - '{value_str,_metric_scrape_time,_timestamp,_device_orig}'::text[] AS key) k
    WHERE by_rate AND s.value > '-Infinity' AND s.value < 'Infinity'
    ORDER BY s.device_id, s.metric_id, k.key, s.timestamp
  ), rates AS (
    SELECT r.timestamp, r.device_id, r.metric_id,
      CASE WHEN r.value >= lag(r.value) OVER w THEN r.value - lag(r.value) OVER w ELSE greatest(r.value, 0) END
        / (extract(epoch FROM r.timestamp - lag(r.timestamp) OVER w))::float8 AS value,
      r.labels, lag(r.timestamp) OVER w IS NOT NULL AS has_rate
    FROM series r WINDOW w AS (PARTITION BY r.device_id, r.metric_id, r.key ORDER BY r.timestamp)
  )
  SELECT a.timestamp, a.device_id, a.metric_id, a.value, a.labels FROM (
    SELECT s.timestamp, s.device_id, s.metric_id,
      CASE WHEN s.value > '-Infinity' AND s.value < 'Infinity' THEN s.value END AS value, s.labels
    FROM seen s
    WHERE NOT by_rate AND (s.value > '-Infinity' AND s.value < 'Infinity' OR show_all
      OR (s.value = 'NaN' AND s.labels ? 'value_str' AND s.metric_id = ANY (wanted_metrics)))
    UNION ALL
    SELECT r.timestamp, r.device_id, r.metric_id, r.value, r.labels FROM rates r WHERE r.has_rate
  ) a
  ORDER BY a.timestamp;
END
$$;

-- Which metrics devices had in the minute before a time: all, those of params -> devices, or of the job params -> job_id
-- (in its last minute). In Kwollect's order: nodes (`taurus-2`) first, by cluster and number. What Kwollect leaves out by
-- mistake, devices that are alike in these, is there.
CREATE FUNCTION api.available_metrics("at" timestamptz DEFAULT now(), params jsonb DEFAULT '{}')
RETURNS TABLE (device_id text, metric_id text)
LANGUAGE plpgsql STABLE ROWS 1000
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off AS $$
#variable_conflict use_column
DECLARE
  names text[];
  until timestamptz := coalesce("at", now());
  job text := params ->> 'job_id';
  job_end timestamptz;
BEGIN
  PERFORM FROM kw.metrics_visible LIMIT 0;
  IF job ~ '^\d{1,18}$' THEN
    SELECT array_agg(DISTINCT n.node), least(until, CASE WHEN bool_and(n.stop_time IS NOT NULL) THEN max(n.stop_time) END)
    INTO names, job_end FROM kw.job_nodetimes(job::bigint) n WHERE n.node IS NOT NULL;
    IF names IS NULL THEN
      RAISE EXCEPTION 'there is no job %', job USING ERRCODE = 'PT404', HINT = 'api.jobs lists the jobs';
    END IF;
    until := job_end;
  ELSIF job IS NOT NULL THEN
    RAISE EXCEPTION 'params: the job_id is no whole number' USING ERRCODE = 'invalid_parameter_value';
  ELSIF jsonb_typeof(params -> 'devices') = 'array' THEN
    names := coalesce(kw.api_names('device', ARRAY(SELECT jsonb_array_elements_text(params -> 'devices'))), '{}');
  ELSIF jsonb_typeof(params -> 'devices') <> 'null' THEN
    RAISE EXCEPTION 'Cannot parse params->devices, should be JSON array' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF names <> '{}' THEN
    names := kw.api_devices(names, until - interval '1 minute', until);
  END IF;

  RETURN QUERY
  WITH stored AS (
    SELECT DISTINCT m.device_id, m.device_alias, m.metric_id
    FROM kw.metrics_visible m
    WHERE m.timestamp < until AND m.timestamp > until - interval '1 minute'
      AND (names IS NULL OR m.device_id = ANY (names) OR m.device_alias = ANY (names))
  ), seen AS (
    SELECT s.device_id, s.metric_id FROM stored s WHERE names IS NULL OR s.device_id = ANY (names)
    UNION
    SELECT s.device_alias, s.metric_id FROM stored s
    WHERE s.device_alias IS NOT NULL AND (names IS NULL OR s.device_alias = ANY (names))
  )
  SELECT s.device_id, s.metric_id FROM seen s
  ORDER BY s.device_id !~ '^[a-z]+-\d+$', split_part(s.device_id, '-', 1),
    coalesce(substring(split_part(s.device_id, '-', 2) FROM '^\d{1,18}$')::bigint, 0), s.device_id, s.metric_id;
END
$$;

CREATE TYPE kw.api_job AS (
  job_id bigint, source text, name_id text, owner text, state text, start_time timestamptz, stop_time timestamptz,
  nodes text[]);

-- Jobs that the caller may see: one, or those that run, or with all_states also those that ended; the last started
-- first. A scheduler's own tables are asked for one job only; the list is of what kw was told of or has seen running.
CREATE FUNCTION api.jobs(
  job_id bigint DEFAULT NULL,
  owner text DEFAULT NULL,
  all_states boolean DEFAULT false,
  max_jobs int DEFAULT 1000
) RETURNS SETOF kw.api_job
LANGUAGE plpgsql STABLE ROWS 100 SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
  PERFORM FROM kw.jobs_visible LIMIT 0;
  RETURN QUERY
  WITH times AS (
    SELECT n.job_id, n.source, n.owner, n.state, n.node, n.start_time, n.stop_time
    FROM kw.job_nodetimes(job_id) n WHERE job_id IS NOT NULL AND n.node IS NOT NULL
    UNION ALL
    SELECT n.job_id, n.source, n.owner, n.state, n.node, n.start_time, n.stop_time
    FROM kw.local_nodetime_visible n
    WHERE job_id IS NULL AND (coalesce(all_states, false) OR (n.source, n.job_id) IN (
      SELECT r.source, r.job_id FROM kw.local_nodetime_visible r WHERE r.stop_time IS NULL OR r.stop_time > now()))
  ), found AS (
    SELECT t.job_id, t.source, max(t.owner) AS owner, max(t.state) AS state, min(t.start_time) AS first,
      CASE WHEN bool_and(t.stop_time IS NOT NULL) THEN max(t.stop_time) END AS last,
      array_agg(DISTINCT t.node) AS nodes
    FROM times t WHERE owner IS NULL OR t.owner = owner
    GROUP BY t.source, t.job_id
    ORDER BY min(t.start_time) DESC, t.job_id DESC, t.source
    LIMIT greatest(0, least(coalesce(max_jobs, 1000), 100000))
  )
  SELECT f.job_id, f.source, coalesce(j.name_id, f.job_id::text), f.owner, f.state, f.first, f.last, f.nodes
  FROM found f LEFT JOIN kw.jobs_visible j ON j.source = f.source AND j.job_id = f.job_id
  ORDER BY f.first DESC, f.job_id DESC, f.source;
END
$$;

-- Stores one value, {"device_id": ..., "metric_id": ..., "value": ..., "timestamp": ..., "labels": {...}}, or an array of
-- them. A time is written as for get_metrics; without one it is now. A text is a label value_str without a value. Answers
-- the rows as they are stored. All or nothing: a bad row is refused with its place, from 0 on.
-- Its one argument has no name, for PostgREST, which otherwise takes the first object of an array and forgets the rest.
CREATE FUNCTION api.insert_metrics(jsonb)
RETURNS TABLE ("timestamp" timestamptz, device_id text, metric_id text, value double precision, labels jsonb)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  given jsonb := CASE WHEN jsonb_typeof($1) = 'object' THEN jsonb_build_array($1) ELSE $1 END;
  item jsonb;
  place int := 0;
  problem text;
  times timestamptz[];
  devices text[];
  metrics text[];
  numbers float8[];
  sets jsonb[];
  refused record;
BEGIN
  IF jsonb_typeof(given) IS DISTINCT FROM 'array' THEN
    RAISE EXCEPTION 'the body is no JSON object and no array of them' USING ERRCODE = 'invalid_parameter_value',
      HINT = 'write {"device_id": "node-1", "metric_id": "my_metric", "value": 42}';
  END IF;
  IF jsonb_array_length(given) > 100000 THEN
    RAISE EXCEPTION 'more than 100000 rows at once' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  FOR item IN SELECT e FROM jsonb_array_elements(given) WITH ORDINALITY AS e (e, n) ORDER BY n LOOP
    problem := CASE
      WHEN jsonb_typeof(item) <> 'object' THEN 'it is no JSON object'
      WHEN item - '{timestamp,device_id,metric_id,value,labels}'::text[] <> '{}'
        THEN 'there is no column ' || left((SELECT min(k) FROM jsonb_object_keys(
          item - '{timestamp,device_id,metric_id,value,labels}'::text[]) k), 60)
          || ': columns are timestamp, device_id, metric_id, value, labels'
      WHEN coalesce(jsonb_typeof(item -> 'device_id') <> 'string', true) THEN 'device_id is no text'
      WHEN coalesce(jsonb_typeof(item -> 'metric_id') <> 'string', true) THEN 'metric_id is no text'
      WHEN coalesce(jsonb_typeof(item -> 'labels'), 'null') NOT IN ('object', 'null') THEN 'labels is no JSON object'
      WHEN coalesce(jsonb_typeof(item -> 'timestamp'), 'null') NOT IN ('string', 'number', 'null') THEN 'the timestamp is no time'
      WHEN coalesce(jsonb_typeof(item -> 'value'), 'null') = 'null' AND NOT coalesce(item -> 'labels' ? 'value_str', false)
        THEN 'there is no value'
      WHEN coalesce(jsonb_typeof(item -> 'value'), 'null') NOT IN ('number', 'null')
        AND NOT (jsonb_typeof(item -> 'value') = 'string'
          AND length(item ->> 'value') <= 400
          AND item ->> 'value' ~ '^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$')
        THEN 'the value is no number; a text goes into the label value_str'
    END;
    IF problem IS NULL THEN
      BEGIN
        times := array_append(times, coalesce(kw.api_time('timestamp', item ->> 'timestamp'), now()));
        numbers := array_append(numbers, coalesce(trim(item ->> 'value')::float8, 'NaN'));
      EXCEPTION WHEN data_exception THEN
        problem := SQLERRM;
      END;
    END IF;
    IF problem IS NOT NULL THEN
      RAISE EXCEPTION 'row % of % cannot be stored: %; nothing was stored', place, jsonb_array_length(given), problem
        USING ERRCODE = 'invalid_parameter_value';
    END IF;
    devices := array_append(devices, item ->> 'device_id');
    metrics := array_append(metrics, item ->> 'metric_id');
    sets := array_append(sets, nullif(item -> 'labels', 'null'));
    place := place + 1;
  END LOOP;

  SELECT min(s.sample) - 1 AS place, (array_agg(s.reason ORDER BY s.sample))[1] AS reason, count(*) - 1 AS more INTO refused
  FROM kw.store_samples(times, devices, metrics, numbers, sets) s WHERE s.reason IS NOT NULL;
  IF refused.place IS NOT NULL THEN
    RAISE EXCEPTION 'row % of % cannot be stored: %; nothing was stored', refused.place, place,
      refused.reason || CASE WHEN refused.more > 0 THEN ', and ' || refused.more || ' more' ELSE '' END
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  RETURN QUERY
  SELECT u.at, u.device, u.metric, nullif(u.number, 'NaN'), kw.pushed_labels(u.labels)
  FROM unnest(times, devices, metrics, numbers, sets) AS u (at, device, metric, number, labels);
END
$$;

CREATE TYPE kw.api_promotion AS (device_id text, metric_id text, job_id bigint, source text, expires_at timestamptz);

-- Enables the optional metrics that a pattern (a regular expression, as in Kwollect) matches: on the nodes of a job
-- until it ends, or on devices for some time. Users may on the nodes that they have now in a running job. Answers what
-- is enabled by that.
CREATE FUNCTION api.enable_metrics(
  metrics text,
  job_id bigint DEFAULT NULL,
  nodes text DEFAULT NULL,
  devices text DEFAULT NULL,
  source text DEFAULT NULL,
  seconds double precision DEFAULT NULL
) RETURNS SETOF kw.api_promotion
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  names text[] := kw.api_devices(kw.api_names('device', ARRAY[nodes, devices]), now() - interval '1 minute', now());
  found text[];
BEGIN
  source := kw.api_source(job_id, source);
  found := ARRAY(SELECT d FROM kw.enable_metrics(names, metrics, job_id, source, seconds) d);
  RETURN QUERY
  SELECT DISTINCT p.device_id, p.metric_id, p.job_id, p.source, p.expires_at FROM kw.promotions_visible p
  WHERE p.device_id = ANY (found) AND p.metric_id = metrics AND p.owner = kw.caller_name()
    AND p.job_id IS NOT DISTINCT FROM job_id AND (job_id IS NULL OR p.source = source)
  ORDER BY 1;
EXCEPTION WHEN no_data_found THEN
  RAISE EXCEPTION '%', SQLERRM USING ERRCODE = 'PT404';
END
$$;

-- Takes back what was enabled: for a job, on devices, or everything of one's own; that pattern or any. Answers how many
-- there were, counted on each device.
CREATE FUNCTION api.disable_metrics(
  metrics text DEFAULT NULL,
  job_id bigint DEFAULT NULL,
  nodes text DEFAULT NULL,
  devices text DEFAULT NULL,
  source text DEFAULT NULL
) RETURNS int
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
  RETURN kw.disable_metrics(
    kw.api_devices(kw.api_names('device', ARRAY[nodes, devices]), now() - interval '1 minute', now()),
    nullif(metrics, ''), job_id, kw.api_source(job_id, source));
END
$$;

-- Asks the schedulers that kw reads what their running jobs want enabled (collectors do it every second). Answers what
-- is enabled, as Kwollect does.
CREATE FUNCTION api.update_promoted_metrics() RETURNS TABLE (device_id text, metric_id text)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  PERFORM kw.require_caller();
  PERFORM FROM kw.update_promotions();
  RETURN QUERY
  SELECT DISTINCT p.device_id, p.metric_id FROM kw.promotions_visible p
  WHERE p.expires_at IS NULL OR p.expires_at > now() ORDER BY 1, 2;
END
$$;

-- The scheduler that a job number is of, where none is named; there may be one of that number only.
CREATE FUNCTION kw.api_source(wanted_job bigint, wanted_source text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  found text[];
BEGIN
  IF wanted_job IS NULL OR nullif(wanted_source, '') IS NOT NULL THEN
    RETURN nullif(wanted_source, '');
  END IF;
  found := ARRAY(
    SELECT DISTINCT n.source FROM kw.local_nodetime_visible n
    WHERE n.job_id = wanted_job AND n.start_time <= now() AND (n.stop_time IS NULL OR n.stop_time > now()));
  IF cardinality(found) > 1 THEN
    RAISE EXCEPTION 'several schedulers have a job %: %', wanted_job, array_to_string(found, ', ')
      USING ERRCODE = 'invalid_parameter_value', HINT = 'write source=' || found[1];
  END IF;
  RETURN coalesce(found[1], 'kw');
END
$$;

-- The labels that a value is stored with: see kw.store_samples.
CREATE FUNCTION kw.pushed_labels(labels jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
RETURN (
  SELECT coalesce(jsonb_object_agg(e.key,
    CASE WHEN jsonb_typeof(e.value) IN ('number', 'boolean') THEN to_jsonb(e.value #>> '{}') ELSE e.value END), '{}')
  FROM jsonb_each(coalesce(labels, '{}')) e WHERE NOT starts_with(e.key, '_')
) || jsonb_build_object('_pushed_by', kw.caller_name());

REVOKE ALL ON FUNCTION kw.api_names, kw.api_time, kw.api_devices, kw.api_selection, kw.api_source, kw.pushed_labels FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA api FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kw.short_node_name TO kw_anon;
GRANT EXECUTE ON FUNCTION kw.name_problem, kw.check_name, kw.api_names, kw.api_time, kw.api_devices, kw.api_selection,
  api.get_metrics, api.available_metrics, api.jobs TO kw_anon, kw_reader, kw_writer;
GRANT EXECUTE ON FUNCTION kw.name_problem, kw.check_name, kw.api_names, kw.api_devices, kw.api_source, kw.require_caller,
  api.enable_metrics, api.disable_metrics, api.update_promoted_metrics TO kw_writer, kw_scheduler;
GRANT EXECUTE ON FUNCTION api.jobs TO kw_scheduler;
GRANT EXECUTE ON FUNCTION kw.pushed_labels, api.insert_metrics TO kw_writer;
