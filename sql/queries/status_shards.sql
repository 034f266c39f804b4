-- The collectors that share their devices, and the last epoch. Times in microseconds since the epoch of Unix.
SELECT l.collector_id, coalesce(c.name, l.collector_id::text) AS collector, l.owned AS devices, l.devices AS configured,
  l.fixed, extract(epoch FROM l.expires_at - clock_timestamp())::float8 AS lease_s, l.extended,
  e.epoch, (extract(epoch FROM e.since) * 1e6)::bigint AS since_us
FROM kw.shard_leases l
LEFT JOIN kw.collectors c USING (collector_id)
CROSS JOIN (SELECT epoch, since FROM kw.shard_epochs ORDER BY epoch DESC LIMIT 1) e
ORDER BY collector, l.collector_id
