-- sql/grafana/cluster_devices.sql
-- How many devices are configured, answer, and do not: by the collectors that live.
SELECT count(*) AS "devices", count(*) FILTER (WHERE up) AS "up", count(*) FILTER (WHERE NOT up) AS "down"
FROM (
  SELECT s.device_id, bool_and(s.up) AS up
  FROM kw.device_status_visible s JOIN kw.collectors c USING (collector_id)
  WHERE c.stopped_at IS NULL AND c.seen_at > now() - interval '30 days'
  GROUP BY s.device_id
) d
