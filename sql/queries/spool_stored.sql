-- Up to where the segments of these collectors are stored. Segments below spool_floor are: their rows are gone from the
-- ledger.
-- $1 uuid[]
SELECT c.collector_id AS owner_id, c.spool_floor, l.segment, l."offset"
FROM kw.collectors c
LEFT JOIN kw.ledger l ON l.collector_id = c.collector_id
WHERE c.collector_id = ANY ($1::uuid[])
