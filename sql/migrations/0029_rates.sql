-- Rates of a device that has values of its own and others under its alias: they were one series, and of two values of one
-- instant either counted.

-- Values of devices or of a job, in the order of time. An aliased value is under its device and under its alias, there
-- summed with those of the same time, metric and labels. Values are numbers: rows whose value is none are left out,
-- except texts (label value_str), shown as NULL to who names their metric; with nan => 'null' all are shown.
--   summary  mean of 5 minutes instead, last value for counters (_total)
--   as_rate  change per second, from the second value of a series on; a fall is a reset to zero. What a device measures
--            itself and what others measure for it (_device_orig) are series of their own; of several values of one
--            series at one instant the lowest counts.
CREATE OR REPLACE FUNCTION api.get_metrics(
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
    CROSS JOIN LATERAL (
      SELECT CASE WHEN s.labels ? '_device_orig' THEN l.stable || '{"_device_orig": true}' ELSE l.stable END AS key
      FROM (SELECT s.labels - '{value_str,_metric_scrape_time,_timestamp,_device_orig}'::text[] AS stable) l
    ) k
    WHERE by_rate AND s.value > '-Infinity' AND s.value < 'Infinity'
    ORDER BY s.device_id, s.metric_id, k.key, s.timestamp, s.value
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
