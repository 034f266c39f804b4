-- Stores pushed values: $1 timestamps, $2 devices, $3 metrics, $4 values, $5 labels. Returns those refused, from 1.
SELECT sample, reason
FROM kw.insert_samples($1::timestamptz[], $2::text[], $3::text[], $4::float8[], $5::jsonb[])
ORDER BY sample
