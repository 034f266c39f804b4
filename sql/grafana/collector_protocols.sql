-- sql/grafana/collector_protocols.sql
-- Devices and durations of their last polls, by collector and protocol.
SELECT c.name AS collector, s.protocol, count(*) AS devices, count(*) FILTER (WHERE NOT s.up) AS down,
  percentile_cont(0.5) WITHIN GROUP (ORDER BY s.poll_ms) AS "median poll", max(s.poll_ms) AS "slowest poll",
  sum(s.polls)::bigint AS polls, sum(s.missed)::bigint AS missed
FROM kw.device_status_visible s JOIN kw.collectors c USING (collector_id)
WHERE c.stopped_at IS NULL AND c.seen_at > now() - interval '30 days'
GROUP BY c.name, s.protocol
ORDER BY c.name, s.protocol
