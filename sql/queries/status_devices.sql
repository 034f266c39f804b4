-- Times in microseconds since the epoch.
SELECT c.collector_id, c.name AS collector, d.device_id, d.protocol, d.up,
  (extract(epoch FROM d.last_poll_at) * 1e6)::bigint AS poll_us,
  (extract(epoch FROM d.last_up_at) * 1e6)::bigint AS up_us,
  d.poll_ms, d.period_ms, d.polls, d.missed, d.errors, d.last_error
FROM kw.device_status_visible d JOIN kw.collectors c USING (collector_id)
WHERE c.seen_at > now() - interval '30 days' AND c.stopped_at IS NULL
ORDER BY c.name, d.device_id, d.protocol
