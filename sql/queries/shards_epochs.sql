-- The epochs after $1. since: microseconds since the epoch of Unix.
SELECT e.epoch, floor(extract(epoch FROM e.since) * 1e6)::bigint AS since, e.members
FROM kw.shard_epochs e WHERE e.epoch > $1 ORDER BY e.epoch
