-- $2 fingerprint and $3 groups of the offer, $5 devices owned, $6 the last epoch that is known, $7 whether it leaves.
SELECT kw.shard_beat($1, $2, $3, $4, $5, $6, $7) AS answer
