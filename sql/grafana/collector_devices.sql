-- sql/grafana/collector_devices.sql
-- Devices with trouble: missed intervals and errors by kind since the collector started, the worst first.
SELECT s.device_id AS device, s.protocol, s.up, s.polls, s.missed, e.errors, s.poll_ms AS "last poll", s.last_error AS error,
  c.name AS collector
FROM kw.device_status_visible s
JOIN kw.collectors c USING (collector_id)
CROSS JOIN LATERAL (SELECT coalesce(sum(value::bigint), 0)::bigint AS errors FROM jsonb_each_text(s.errors)) e
WHERE c.stopped_at IS NULL AND c.seen_at > now() - interval '30 days' AND (s.missed > 0 OR e.errors > 0)
ORDER BY s.missed + e.errors DESC, device
LIMIT 500
