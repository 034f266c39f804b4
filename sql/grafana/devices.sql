-- sql/grafana/devices.sql
-- The nodes of the job, or without one what is configured now or was in the chosen time. Others can be typed.
SELECT DISTINCT node AS device FROM kw.job_nodetimes(
  CASE WHEN ${job:sqlstring} ~ '^(.+/)?[0-9]{1,18}$' THEN regexp_replace(${job:sqlstring}, '^.+/', '')::bigint END,
  substring(${job:sqlstring} from '^(.+)/[0-9]+$'))
WHERE node IS NOT NULL
UNION
SELECT name FROM kw.catalogue_visible CROSS JOIN LATERAL (VALUES (device_id), (alias)) AS n (name)
WHERE ${job:sqlstring} = '' AND name <> ''
UNION
SELECT name FROM kw.past_catalogue_visible CROSS JOIN LATERAL (VALUES (device_id), (alias)) AS n (name)
WHERE ${job:sqlstring} = '' AND name <> '' AND until >= $__timeFrom() AND since <= $__timeTo()
ORDER BY device
