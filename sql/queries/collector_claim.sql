-- Marks a batch as stored, in the transaction that stores it. No row when it is stored already; waits for another
-- transaction that is about to store it.
INSERT INTO kw.ledger AS l (collector_id, segment, "offset", committed_at)
VALUES ($1, $2, $3, clock_timestamp())
ON CONFLICT (collector_id, segment) DO UPDATE
SET "offset" = excluded."offset", committed_at = excluded.committed_at
WHERE l."offset" < excluded."offset"
RETURNING l."offset"
