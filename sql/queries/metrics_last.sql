-- The last value of each metric of devices and aliases in a time. $1 names, $2 and $3 bounds.
SELECT DISTINCT ON (device_id, alias, metric_id)
  device_id, coalesce(labels ->> '_device_alias', '') AS alias, metric_id,
  (extract(epoch FROM timestamp) * 1e6)::bigint AS last_us, value, labels ->> 'value_str' AS value_str
FROM kw.metrics_visible
WHERE timestamp >= $2::timestamptz AND timestamp <= $3::timestamptz
  AND (device_id = ANY ($1::text[])
    OR (device_alias = ANY ($1::text[])))
ORDER BY device_id, alias, metric_id, timestamp DESC
