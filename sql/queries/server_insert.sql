-- Stores pushed values: $1 timestamps, $2 devices, $3 metrics, $4 values, $5 labels. Of each, in order, why it was refused,
-- or null and the labels that it was stored with.
SELECT reason, stored_labels
FROM kw.store_samples($1::timestamptz[], $2::text[], $3::text[], $4::float8[], $5::jsonb[])
ORDER BY sample
