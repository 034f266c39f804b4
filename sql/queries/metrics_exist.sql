-- Which of these have rows: $1 device or alias, $2 pattern of the metric, $3 and $4 first and last timestamp, all of one
-- length; $5 labels or null. Each is answered at the first row found. number: place in the arrays, from 1.
SELECT wanted.number::int
FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[])
  WITH ORDINALITY AS wanted (name, metric, first, last, number)
CROSS JOIN LATERAL (
  (SELECT FROM kw.metrics_visible
   WHERE device_id = wanted.name AND metric_id LIKE wanted.metric
     AND timestamp >= wanted.first AND timestamp <= wanted.last AND ($5::jsonb IS NULL OR labels @> $5)
   ORDER BY timestamp DESC LIMIT 1)
  UNION ALL
  (SELECT FROM kw.metrics_visible
   WHERE device_alias = wanted.name AND metric_id LIKE wanted.metric
     AND timestamp >= wanted.first AND timestamp <= wanted.last AND ($5::jsonb IS NULL OR labels @> $5)
   ORDER BY timestamp DESC LIMIT 1)
  LIMIT 1
) found
