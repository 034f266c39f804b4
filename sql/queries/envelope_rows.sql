-- How many values a selection has, by the summary: what reading it costs.
SELECT coalesce(sum(count + count_not_finite), 0)::float8 AS rows
FROM kw.summary_visible
WHERE bucket >= :from::timestamptz AND bucket <= :to::timestamptz
  AND (:devices::text[] IS NULL
    OR device_id = ANY (:devices::text[])
    OR (:aliases AND device_alias = ANY (:devices::text[])))
  AND (:metrics::text[] IS NULL
    OR metric_id = ANY (:metrics::text[])
    OR metric_id LIKE ANY (:metric_patterns::text[]))
