-- The tables of kw, with their columns that can be written. $1 are names to leave out.
-- Tables that refer to others come after them (there is one level of that only).
SELECT
  quote_ident(c.relname) AS name,
  (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attname)
   FROM pg_attribute a
   WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '') AS columns
FROM pg_class c
WHERE c.relnamespace = 'kw'::regnamespace
  AND c.relkind = 'r'
  AND NOT c.relispartition
  AND c.relname <> ALL ($1::text[])
ORDER BY EXISTS (SELECT FROM pg_constraint f WHERE f.conrelid = c.oid AND f.contype = 'f'), c.relname
