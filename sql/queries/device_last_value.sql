-- The last value of each device up to a time. $1 names, $2 the time.
SELECT d.name, (extract(epoch FROM m.timestamp) * 1e6)::bigint AS us
FROM unnest($1::text[]) AS d (name)
CROSS JOIN LATERAL (
  SELECT timestamp FROM kw.metrics_visible WHERE device_id = d.name AND timestamp <= $2::timestamptz
  ORDER BY timestamp DESC LIMIT 1
) m
