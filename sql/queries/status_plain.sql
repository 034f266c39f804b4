-- Sizes for kw db status. No compression here: its columns are 0.
SELECT current_setting('server_version') AS version,
  (SELECT max(version) FROM kw.migrations) AS schema,
  pg_database_size(current_database())::float8 AS database_bytes,
  (SELECT coalesce(sum(pg_total_relation_size(relation)), 0) FROM kw.metrics_partitions)::float8 AS raw_bytes,
  pg_total_relation_size('kw.summary_stored')::float8 AS summary_bytes,
  0 AS compressed_chunks, 0 AS before_bytes, 0 AS after_bytes,
  -- Before its first ANALYZE reltuples of a partition is -1: then by the usual size of a row.
  (SELECT coalesce(sum(CASE WHEN c.reltuples < 0 THEN pg_relation_size(c.oid) / 110 ELSE c.reltuples END), 0)
   FROM kw.metrics_partitions p
   JOIN pg_class c ON c.oid = p.relation)::float8 AS rows,
  (SELECT to_char(min(p.day), 'YYYY-MM-DD') FROM kw.metrics_partitions p
   WHERE pg_relation_size(p.relation) > 0) AS oldest
