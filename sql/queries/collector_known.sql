-- What is stored of a collector is to be told even if it never spoke to this database itself.
INSERT INTO kw.collectors (collector_id, name, host, version, started_at, seen_at, stopped_at)
SELECT $1, $2, $3, $4, clock_timestamp(), clock_timestamp(), clock_timestamp()
ON CONFLICT DO NOTHING
