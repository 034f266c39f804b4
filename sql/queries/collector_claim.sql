-- Marks the batches of segment $2 from the place $3 to the place $4 as stored, in the transaction that stores them. No row
-- when the first of them is stored already, or the segment lies below the floor; waits for another transaction that is
-- about to store it.
INSERT INTO kw.ledger AS l (collector_id, segment, "offset", committed_at)
SELECT $1, $2, $4, clock_timestamp()
WHERE NOT EXISTS (SELECT FROM kw.collectors c WHERE c.collector_id = $1 AND c.spool_floor > $2)
ON CONFLICT (collector_id, segment) DO UPDATE
SET "offset" = excluded."offset", committed_at = excluded.committed_at
WHERE l."offset" < $3
RETURNING l."offset"
