-- The clock of the database, in microseconds since the epoch.
SELECT floor(extract(epoch FROM clock_timestamp()) * 1e6)::bigint AS now
