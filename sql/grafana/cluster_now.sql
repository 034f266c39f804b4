-- sql/grafana/cluster_now.sql
-- The last value of the metric on each device, those of its labels added up: of the last minute, or of two periods
-- where they are longer, of the last hour at most. A device is called by its alias where it has one.
SELECT device, sum(value) AS value, max(timestamp) AS last
FROM (
  SELECT DISTINCT ON (d.device_id, m.labels)
    coalesce(nullif(m.device_alias, ''), d.device_id) AS device, m.value, m.timestamp
  FROM (
    SELECT device_id, greatest(60000, 2 * max(period_ms)) * interval '1 ms' AS age
    FROM kw.catalogue_visible WHERE metric_id = ${metric:sqlstring} GROUP BY device_id
  ) d
  CROSS JOIN LATERAL (
    SELECT labels - '{value_str,_metric_scrape_time,_timestamp}'::text[] AS labels, device_alias, value, timestamp
    FROM kw.metrics_visible
    WHERE device_id = d.device_id AND metric_id = ${metric:sqlstring}
      AND timestamp > least(now(), $__timeTo()::timestamptz) - interval '1 hour' AND timestamp <= $__timeTo()
      AND timestamp > least(now(), $__timeTo()::timestamptz) - d.age
      AND value > '-Infinity' AND value < 'Infinity'
    OFFSET 0 -- one look by the index a device, never a join with all that came in
  ) m
  ORDER BY d.device_id, m.labels, m.timestamp DESC
) last
GROUP BY device
ORDER BY value DESC
