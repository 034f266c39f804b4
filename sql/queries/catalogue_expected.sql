-- What should be there for these devices, and how its collector and device are. $1 names, $2 bounds of the time:
-- whether it was enabled is asked of the promotions that are left.
SELECT c.device_id, c.alias, c.metric_id, coalesce(c.entry_name, c.metric_id) AS entry_name, c.optional, c.protocol, c.period_ms,
       k.name AS collector,
       k.stopped_at IS NULL AND k.seen_at > now() - interval '1 minute' AS collector_lives,
       (extract(epoch FROM coalesce(k.stopped_at, k.seen_at)) * 1e6)::bigint AS collector_seen_us,
       s.up, s.last_error, (extract(epoch FROM s.last_up_at) * 1e6)::bigint AS last_up_us,
       (extract(epoch FROM c.since) * 1e6)::bigint AS since_us
FROM kw.catalogue_visible c
LEFT JOIN kw.collectors k USING (collector_id)
LEFT JOIN kw.device_status_visible s USING (collector_id, device_id, protocol)
WHERE c.device_id = ANY ($1::text[]) OR (c.alias <> '' AND c.alias = ANY ($1::text[]))
ORDER BY c.metric_id, c.device_id
