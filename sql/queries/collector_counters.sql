-- The counters, and the time at which they were told: kw status shows how old they are.
UPDATE kw.collectors
SET counters = $2::jsonb || jsonb_build_object('reported_us', (extract(epoch FROM clock_timestamp()) * 1e6)::bigint),
  seen_at = clock_timestamp()
WHERE collector_id = $1
