-- The devices behind aliases: configured now, or with rows in a short time. $1 names, $2 and $3 bounds.
-- The period is null where it is not known.
SELECT alias, metric_id, device_id, max(greatest(period_ms, optional_period_ms)) AS period_ms
FROM kw.catalogue_visible
WHERE alias = ANY ($1::text[]) AND alias <> ''
GROUP BY alias, metric_id, device_id
UNION ALL
SELECT DISTINCT labels ->> '_device_alias', metric_id, device_id, NULL::int
FROM kw.metrics_visible
WHERE device_alias = ANY ($1::text[])
  AND timestamp >= $2::timestamptz AND timestamp <= $3::timestamptz
