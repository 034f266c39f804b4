-- Every value that the collector measured before $2 (microseconds since the epoch) is stored.
UPDATE kw.collectors
SET written_up_to = timestamptz 'epoch' + $2::float8 * interval '1 microsecond', seen_at = clock_timestamp()
WHERE collector_id = $1
