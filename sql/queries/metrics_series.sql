-- The series of a selection: what the columns of --wide are made of.
SELECT DISTINCT device_id, metric_id, labels::text AS labels
FROM kw.metrics_visible
WHERE timestamp >= :from::timestamptz AND timestamp <= :to::timestamptz
  AND (:devices::text[] IS NULL
    OR device_id = ANY (:devices::text[])
    OR (:aliases AND device_alias = ANY (:devices::text[])))
  AND (:metrics::text[] IS NULL
    OR metric_id = ANY (:metrics::text[])
    OR metric_id LIKE ANY (:metric_patterns::text[]))
  AND (:labels::jsonb IS NULL OR labels @> :labels::jsonb)
