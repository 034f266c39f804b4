-- The planner may read the names of all relations before it knows which of them are partitions, and does so when
-- there are many: a name that is no date must not fail then.
CREATE OR REPLACE VIEW kw.metrics_partitions AS
SELECT c.oid AS relation, c.relname AS name,
  CASE WHEN c.relname ~ '^metrics_p[0-9]{8}$' THEN substr(c.relname, 10)::date END AS day
FROM pg_catalog.pg_inherits i
JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'kw.metrics'::regclass;
