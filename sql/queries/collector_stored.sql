-- Up to where segment $2 of a collector is stored; null: to its end, since it lies below the floor.
SELECT CASE WHEN NOT coalesce(c.spool_floor > $2, false) THEN coalesce(l."offset", 0) END AS stored
FROM kw.collectors c
LEFT JOIN kw.ledger l ON l.collector_id = c.collector_id AND l.segment = $2
WHERE c.collector_id = $1
