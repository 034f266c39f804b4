-- Marks the batches of a segment from the place "first" to the place "last" as stored, in the transaction that stores them.
-- No row when the first of them is stored already, or the segment lies below the floor; waits for another transaction that
-- is about to store it.
INSERT INTO kw.ledger AS l (collector_id, segment, "offset", committed_at)
SELECT :collector::uuid, :segment, :last, clock_timestamp()
WHERE NOT EXISTS (SELECT FROM kw.collectors c WHERE c.collector_id = :collector AND c.spool_floor > :segment)
ON CONFLICT (collector_id, segment) DO UPDATE
SET "offset" = excluded."offset", committed_at = excluded.committed_at
WHERE l."offset" < :first
RETURNING l."offset"
