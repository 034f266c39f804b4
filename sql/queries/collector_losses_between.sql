-- Losses of collectors that touch the time from $1 to $2.
SELECT l.collector_id, c.name, l.samples, l.reason,
  (extract(epoch FROM l.lost_from) * 1e6)::bigint AS from_us,
  (extract(epoch FROM l.lost_until) * 1e6)::bigint AS to_us
FROM kw.collector_losses l
JOIN kw.collectors c USING (collector_id)
WHERE l.lost_until >= $1 AND l.lost_from <= $2
ORDER BY c.name, l.lost_from
