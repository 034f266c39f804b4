-- sql/grafana/series.sql
-- The chosen metrics of the chosen devices, one series for each set of labels, in buckets as wide as a pixel. Up to
-- 12 hours from the raw values, beyond from the summary: of what a dashboard does not ask for the planner finds
-- the condition false, and reads nothing. Counters (`_total`) become values per second. With a job only its time counts.
WITH spans AS (
  SELECT node AS device, start_time, coalesce(stop_time, 'infinity') AS stop_time
  FROM kw.job_nodetimes(
    CASE WHEN ${job:sqlstring} ~ '^(.+/)?[0-9]{1,18}$' THEN regexp_replace(${job:sqlstring}, '^.+/', '')::bigint END,
    substring(${job:sqlstring} from '^(.+)/[0-9]+$'))
  WHERE node IS NOT NULL
), readings AS NOT MATERIALIZED (
  SELECT timestamp AS time, device_id AS device, device_id AS origin, metric_id,
    labels - '{value_str,_metric_scrape_time,_timestamp,_device_alias}'::text[] AS labels,
    value, value AS min, value AS max, 1 AS count
  FROM kw.metrics_visible
  WHERE (${detail:sqlstring} = 'raw' OR ${detail:sqlstring} = 'auto' AND $__unixEpochTo() - $__unixEpochFrom() <= 43200)
    AND $__timeFilter(timestamp) AND value > '-Infinity' AND value < 'Infinity'
    AND device_id = ANY (ARRAY[${device:sqlstring}]::text[]) AND metric_id = ANY (ARRAY[${metric:sqlstring}]::text[])
  UNION ALL
  SELECT timestamp, device_alias, device_id, metric_id,
    labels - '{value_str,_metric_scrape_time,_timestamp,_device_alias}'::text[], value, value, value, 1
  FROM kw.metrics_visible
  WHERE (${detail:sqlstring} = 'raw' OR ${detail:sqlstring} = 'auto' AND $__unixEpochTo() - $__unixEpochFrom() <= 43200)
    AND $__timeFilter(timestamp) AND value > '-Infinity' AND value < 'Infinity'
    AND device_alias = ANY (ARRAY[${device:sqlstring}]::text[]) AND metric_id = ANY (ARRAY[${metric:sqlstring}]::text[])
  UNION ALL
  SELECT bucket, device_id, device_id, metric_id, labels - '_device_alias', value, min, max, count
  FROM kw.summary_visible
  WHERE (${detail:sqlstring} = 'summary' OR ${detail:sqlstring} = 'auto' AND $__unixEpochTo() - $__unixEpochFrom() > 43200)
    AND $__timeFilter(bucket) AND count > 0
    AND device_id = ANY (ARRAY[${device:sqlstring}]::text[]) AND metric_id = ANY (ARRAY[${metric:sqlstring}]::text[])
  UNION ALL
  SELECT bucket, device_alias, device_id, metric_id, labels - '_device_alias', value, min, max, count
  FROM kw.summary_visible
  WHERE (${detail:sqlstring} = 'summary' OR ${detail:sqlstring} = 'auto' AND $__unixEpochTo() - $__unixEpochFrom() > 43200)
    AND $__timeFilter(bucket) AND count > 0
    AND device_alias = ANY (ARRAY[${device:sqlstring}]::text[]) AND metric_id = ANY (ARRAY[${metric:sqlstring}]::text[])
), steps AS (
  -- What a counter counted since its last value. One that fell was reset, and has counted from zero since.
  SELECT time, device, origin, metric_id, labels, time - lag(time) OVER series AS passed,
    CASE WHEN value >= lag(value) OVER series THEN value - lag(value) OVER series ELSE greatest(value, 0) END AS increase
  FROM readings r
  WHERE EXISTS (SELECT FROM unnest(ARRAY[${metric:sqlstring}]::text[]) AS m (name) WHERE right(m.name, 6) = '_total')
    AND right(metric_id, 6) = '_total'
    AND (${job:sqlstring} = '' OR EXISTS (
      SELECT FROM spans s WHERE s.device = r.device AND r.time >= s.start_time AND r.time <= s.stop_time))
  WINDOW series AS (PARTITION BY device, origin, metric_id, labels ORDER BY time)
), rates AS (
  SELECT time, device, origin, metric_id, labels, increase, extract(epoch FROM passed)::float8 AS passed_s
  FROM steps WHERE passed > '0'
), periods AS (
  -- Devices that several others measure, such as the supplies of a node: a bucket must hold a value of each.
  SELECT alias AS device, metric_id, max(period_ms) AS period_ms
  FROM kw.catalogue_visible
  WHERE alias = ANY (ARRAY[${device:sqlstring}]::text[]) AND alias <> ''
  GROUP BY alias, metric_id HAVING count(DISTINCT device_id) > 1
), by_origin AS (
  SELECT date_bin(greatest($__interval_ms, p.period_ms) * interval '1 ms', time, 'epoch') AS time,
    device, origin, metric_id, labels, sum(value * count) / sum(count) AS mean, min(min) AS min, max(max) AS max
  FROM readings r LEFT JOIN periods p USING (device, metric_id)
  WHERE EXISTS (SELECT FROM unnest(ARRAY[${metric:sqlstring}]::text[]) AS m (name) WHERE right(m.name, 6) <> '_total')
    AND right(metric_id, 6) <> '_total'
    AND (${job:sqlstring} = '' OR EXISTS (
      SELECT FROM spans s WHERE s.device = r.device AND r.time >= s.start_time AND r.time <= s.stop_time))
  GROUP BY 1, device, origin, metric_id, labels
  UNION ALL
  SELECT date_bin(greatest($__interval_ms, p.period_ms) * interval '1 ms', time, 'epoch'),
    device, origin, metric_id, labels, sum(increase) / sum(passed_s), min(increase / passed_s), max(increase / passed_s)
  FROM rates r LEFT JOIN periods p USING (device, metric_id)
  GROUP BY 1, device, origin, metric_id, labels
), by_device AS (
  -- Several origins are added up; their minima and maxima need not have met: then they are bounds.
  SELECT time, device, metric_id, labels, sum(mean) AS mean, sum(min) AS min, sum(max) AS max,
    count(*) AS origins, max(count(*)) OVER (PARTITION BY device, metric_id, labels) AS origins_at_best
  FROM by_origin
  GROUP BY time, device, metric_id, labels
), names AS (
  SELECT device, metric_id, labels, concat_ws(' ', device, metric_id,
    (SELECT '{' || string_agg(key || '=' || value, ', ' ORDER BY key) || '}' FROM jsonb_each_text(labels))) AS name
  FROM by_device GROUP BY device, metric_id, labels
)
SELECT d.time, concat_ws(' ', n.name, nullif(s.kind, 'mean')) AS metric, s.value
FROM by_device d
JOIN names n USING (device, metric_id, labels)
CROSS JOIN LATERAL (VALUES ('mean', d.mean), ('min', d.min), ('max', d.max)) AS s (kind, value)
-- A sum that lacks an origin would look like a drop.
WHERE d.origins = d.origins_at_best AND s.kind = ANY (ARRAY[${show:sqlstring}]::text[])
ORDER BY d.time
