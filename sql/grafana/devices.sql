-- sql/grafana/devices.sql
-- The nodes of the job, or without one what is configured now or was in the chosen time. Others can be typed.
SELECT DISTINCT node AS device FROM kw.nodetime_by_job
WHERE job_id = CASE WHEN ${job:sqlstring} ~ '^(.+/)?[0-9]{1,18}$'
                 THEN regexp_replace(${job:sqlstring}, '^.+/', '')::bigint END
  AND (strpos(${job:sqlstring}, '/') = 0 OR source = regexp_replace(${job:sqlstring}, '/[0-9]+$', ''))
UNION
SELECT name FROM kw.metric_catalogue CROSS JOIN LATERAL (VALUES (device_id), (alias)) AS n (name)
WHERE ${job:sqlstring} = '' AND name <> ''
UNION
SELECT name FROM kw.metric_catalogue_past CROSS JOIN LATERAL (VALUES (device_id), (alias)) AS n (name)
WHERE ${job:sqlstring} = '' AND name <> '' AND until >= $__timeFrom() AND since <= $__timeTo()
ORDER BY device
