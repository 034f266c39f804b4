UPDATE kw.collectors SET stopped_at = clock_timestamp(), seen_at = clock_timestamp() WHERE collector_id = $1
