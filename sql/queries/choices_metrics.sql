-- Metrics of devices and aliases, by the summary of some times. $1 names, $2 and $3 begins and ends of the times.
SELECT metric_id, count(DISTINCT name)::int AS devices
FROM unnest($2::timestamptz[], $3::timestamptz[]) AS times (first, last)
CROSS JOIN LATERAL (
  SELECT metric_id, device_id AS name FROM kw.summary_visible
  WHERE device_id = ANY ($1) AND bucket >= times.first AND bucket <= times.last
  UNION ALL
  SELECT metric_id, device_alias FROM kw.summary_visible
  WHERE device_alias = ANY ($1) AND bucket >= times.first AND bucket <= times.last
) seen
GROUP BY metric_id
