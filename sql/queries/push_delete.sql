-- Counts, or with $6 false deletes, values that the caller pushed: $1 devices or null, $2 metrics, $3 and $4 first and
-- last timestamp or null, $5 labels that they have.
SELECT kw.delete_pushed($1::text[], $2::text[], $3::timestamptz, $4::timestamptz, $5::jsonb, $6::boolean) AS rows
