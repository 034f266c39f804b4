UPDATE kw.collectors SET counters = $2, seen_at = clock_timestamp() WHERE collector_id = $1
