-- sql/grafana/devices_down.sql
-- Devices that do not answer, the longest silent first.
SELECT s.device_id AS device, s.protocol, s.last_up_at AS "last answer", s.last_error AS error, c.name AS collector
FROM kw.device_status_visible s JOIN kw.collectors c USING (collector_id)
WHERE NOT s.up AND c.stopped_at IS NULL AND c.seen_at > now() - interval '30 days'
ORDER BY s.last_up_at NULLS FIRST, device
LIMIT 500
