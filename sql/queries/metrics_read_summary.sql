-- As metrics_read, from the summary: 5 minutes a row.
SELECT bucket, value, device_id, metric_id, labels, min, max, count::float8, count_not_finite::float8
FROM kw.summary_visible
WHERE bucket >= :from::timestamptz AND bucket <= :to::timestamptz
  AND (:devices::text[] IS NULL
    OR device_id = ANY (:devices::text[])
    OR (:aliases AND device_alias = ANY (:devices::text[])))
  AND (:metrics::text[] IS NULL
    OR metric_id = ANY (:metrics::text[])
    OR metric_id LIKE ANY (:metric_patterns::text[]))
  AND (:labels::jsonb IS NULL OR labels @> :labels::jsonb)
ORDER BY bucket
LIMIT :limit::bigint
