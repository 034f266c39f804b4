-- The envelope of a selection: lowest, highest, mean and number of the finite values of each column of time, and the
-- time of the last one. Labels that change in every row separate no series.
SELECT (extract(epoch FROM bin - :from::timestamptz) * 1e6)::bigint / :width_us AS "column",
  device_id, metric_id, labels::text AS labels, low, high, mean, count::float8 AS count,
  (extract(epoch FROM last - :from::timestamptz) * 1e6)::bigint AS last_us
FROM (
  SELECT date_bin(:width::interval, timestamp, :from::timestamptz) AS bin, device_id, metric_id,
    CASE WHEN labels ?| '{value_str,_metric_scrape_time,_timestamp}'
      THEN labels - '{value_str,_metric_scrape_time,_timestamp}'::text[] ELSE labels END AS labels,
    min(value) AS low, max(value) AS high, avg(value) AS mean, count(*) AS count, max(timestamp) AS last
  FROM kw.metrics_visible
  WHERE timestamp >= :from::timestamptz AND timestamp <= :to::timestamptz
    AND value > '-Infinity' AND value < 'Infinity'
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
