-- Stores, once, what lies in segment $2 of the spool $1 behind $3 and ends at $4: $5 timestamps, $6 devices, $7 metrics,
-- $8 values, $9 labels. Returns those refused, from 1.
SELECT sample, reason
FROM kw.insert_spooled(
  $1::uuid, $2::bigint, $3::bigint, $4::bigint, $5::timestamptz[], $6::text[], $7::text[], $8::float8[], $9::jsonb[])
ORDER BY sample
