-- The last epoch.
SELECT kw.shard_hold() AS epoch
