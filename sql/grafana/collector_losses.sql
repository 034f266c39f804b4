-- sql/grafana/collector_losses.sql
-- Values that were lost because a database was away for longer than the buffer lasts.
SELECT l.lost_from AS "from", l.lost_until AS "until", c.name AS collector, l.samples AS "values lost"
FROM kw.collector_losses l JOIN kw.collectors c USING (collector_id)
WHERE l.lost_until >= $__timeFrom() AND l.lost_from <= $__timeTo()
ORDER BY l.lost_from DESC
LIMIT 500
