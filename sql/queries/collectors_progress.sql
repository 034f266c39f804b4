-- Collectors that may write rows of these devices, and up to when they have. $1 devices or null for all.
-- Those that were not seen for a minute do not live. One whose devices others have by now may still have to write what
-- it read of them before.
SELECT name, (extract(epoch FROM written_up_to) * 1e6)::bigint AS written_up_to_us
FROM kw.collectors c
WHERE stopped_at IS NULL AND seen_at > now() - interval '1 minute'
  AND ($1::text[] IS NULL
    OR EXISTS (SELECT FROM kw.catalogue_visible m
               WHERE m.collector_id = c.collector_id AND (m.device_id = ANY ($1) OR m.alias = ANY ($1)))
    OR EXISTS (SELECT FROM kw.past_catalogue_visible p
               WHERE p.collector_id = c.collector_id AND (p.device_id = ANY ($1) OR p.alias = ANY ($1))
                 AND p.until > greatest(c.written_up_to, c.started_at)))
ORDER BY name
