-- As envelope_read, from the summary of 5 minutes. Of counters the last value of a bucket is its highest, without a reset.
SELECT (extract(epoch FROM bin - :from::timestamptz) * 1e6)::bigint / :width_us AS "column",
  device_id, metric_id, labels::text AS labels, low, high, mean, count::float8 AS count,
  (extract(epoch FROM last - :from::timestamptz) * 1e6)::bigint AS last_us
FROM (
  SELECT date_bin(:width::interval, bucket, :from::timestamptz) AS bin, device_id, metric_id, labels,
    min(min) AS low, max(max) AS high, sum(value * count) / sum(count) AS mean, sum(count) AS count,
    max(bucket) + interval '5 minutes' AS last
  FROM kw.summary_visible
  WHERE bucket >= :from::timestamptz AND bucket <= :to::timestamptz AND count > 0
    AND (:devices::text[] IS NULL
      OR device_id = ANY (:devices::text[])
      OR (:aliases AND device_alias = ANY (:devices::text[])))
    AND (:metrics::text[] IS NULL
      OR metric_id = ANY (:metrics::text[])
      OR metric_id LIKE ANY (:metric_patterns::text[]))
  GROUP BY 1, 2, 3, 4
  LIMIT :limit
) columns
ORDER BY device_id, metric_id, labels, "column"
