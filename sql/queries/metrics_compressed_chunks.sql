-- Compressed chunks that overlap a time, oldest first; the end is not part of a chunk. $1 and $2 bounds.
SELECT (extract(epoch FROM range_start) * 1e6)::bigint AS from_us,
       (extract(epoch FROM range_end) * 1e6)::bigint - 1 AS to_us
FROM timescaledb_information.chunks
WHERE hypertable_schema = 'kw' AND hypertable_name = 'metrics' AND is_compressed
  AND range_start <= $2::timestamptz AND range_end > $1::timestamptz
ORDER BY range_start
