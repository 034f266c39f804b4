-- sql/grafana/metrics.sql
-- What is configured for the devices or was in the chosen time, and what they have had in its last five minutes
-- (of twenty devices: it is for metrics that users push).
SELECT metric_id FROM kw.catalogue_visible
WHERE device_id = ANY (ARRAY[${device:sqlstring}]::text[])
  OR (alias <> '' AND alias = ANY (ARRAY[${device:sqlstring}]::text[]))
UNION
SELECT metric_id FROM kw.past_catalogue_visible
WHERE (device_id = ANY (ARRAY[${device:sqlstring}]::text[])
    OR (alias <> '' AND alias = ANY (ARRAY[${device:sqlstring}]::text[])))
  AND until >= $__timeFrom() AND since <= $__timeTo()
UNION
SELECT metric_id FROM kw.metrics_visible
WHERE device_id = ANY ((ARRAY[${device:sqlstring}]::text[])[:20])
  AND timestamp BETWEEN $__timeTo()::timestamptz - interval '5 minutes' AND $__timeTo()
UNION
SELECT metric_id FROM kw.metrics_visible
WHERE device_alias = ANY ((ARRAY[${device:sqlstring}]::text[])[:20])
  AND timestamp BETWEEN $__timeTo()::timestamptz - interval '5 minutes' AND $__timeTo()
ORDER BY metric_id
