-- Rows of one window of time, in order, for a binary COPY. The planner folds away what is NULL or false, so
-- that each selection is planned as if it were written for it. With aliases, rows come that carry the name of a
-- device as _device_alias; whose they are, and overlaps, are decided by the reader.
SELECT timestamp, value, device_id, metric_id, labels
FROM kw.metrics_visible
WHERE timestamp >= :from::timestamptz AND timestamp <= :to::timestamptz
  AND (:devices::text[] IS NULL
    OR device_id = ANY (:devices::text[])
    OR (:aliases AND device_alias = ANY (:devices::text[])))
  AND (:metrics::text[] IS NULL
    OR metric_id = ANY (:metrics::text[])
    OR metric_id LIKE ANY (:metric_patterns::text[]))
  AND (:labels::jsonb IS NULL OR labels @> :labels::jsonb)
ORDER BY timestamp
LIMIT :limit::bigint
