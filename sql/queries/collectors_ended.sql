-- Collectors that do not live any more and wrote up to a time within the selection, where no other collector has read
-- the same device further. $1 devices or null for all, $2 and $3 the bounds of the time.
SELECT DISTINCT c.name, (extract(epoch FROM c.written_up_to) * 1e6)::bigint AS written_up_to_us,
       c.stopped_at IS NOT NULL AS stopped
FROM kw.collectors c
JOIN kw.metric_catalogue m USING (collector_id)
WHERE (c.stopped_at IS NOT NULL OR c.seen_at <= now() - interval '1 minute')
  AND c.written_up_to >= $2 AND c.written_up_to < $3
  AND ($1::text[] IS NULL OR m.device_id = ANY ($1) OR (m.alias <> '' AND m.alias = ANY ($1)))
  AND NOT EXISTS (
    SELECT FROM kw.metric_catalogue n
    JOIN kw.collectors o USING (collector_id)
    WHERE n.device_id = m.device_id AND o.collector_id <> c.collector_id AND o.written_up_to > c.written_up_to)
ORDER BY name
