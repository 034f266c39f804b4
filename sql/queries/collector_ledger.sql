-- Up to where each segment of a collector is stored, and the number below which everything is.
SELECT c.spool_floor AS floor,
  coalesce((SELECT jsonb_agg(jsonb_build_object('segment', l.segment, 'offset', l."offset") ORDER BY l.segment)
            FROM kw.ledger l WHERE l.collector_id = c.collector_id), '[]') AS segments
FROM kw.collectors c
WHERE c.collector_id = $1
