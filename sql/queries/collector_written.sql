-- The collector lives; every value that it measured before the horizon (microseconds since the epoch; null: no news) is
-- stored.
UPDATE kw.collectors
SET written_up_to = coalesce(timestamptz 'epoch' + :horizon::float8 * interval '1 microsecond', written_up_to),
  seen_at = clock_timestamp()
WHERE collector_id = :collector
