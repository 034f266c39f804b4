-- Sizes for kw db status. `timescaledb.` stands for the schema of the extension: the caller
-- replaces it.
SELECT current_setting('server_version') AS version,
  (SELECT max(version) FROM kw.migrations) AS schema,
  pg_database_size(current_database())::float8 AS database_bytes,
  coalesce(timescaledb.hypertable_size('kw.metrics'), 0)::float8 AS raw_bytes,
  (SELECT coalesce(timescaledb.hypertable_size(format('%I.%I', materialization_hypertable_schema, materialization_hypertable_name)::regclass), 0)
   FROM timescaledb_information.continuous_aggregates
   WHERE view_schema = 'kw' AND view_name = 'metrics_summary')::float8 AS summary_bytes,
  (SELECT coalesce(sum(number_compressed_chunks), 0) FROM timescaledb.hypertable_compression_stats('kw.metrics'))::int AS compressed_chunks,
  (SELECT coalesce(sum(before_compression_total_bytes), 0) FROM timescaledb.hypertable_compression_stats('kw.metrics'))::float8 AS before_bytes,
  (SELECT coalesce(sum(after_compression_total_bytes), 0) FROM timescaledb.hypertable_compression_stats('kw.metrics'))::float8 AS after_bytes,
  timescaledb.approximate_row_count('kw.metrics')::float8 AS rows,
  (SELECT to_char(min(range_start) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') FROM timescaledb_information.chunks
   WHERE hypertable_schema = 'kw' AND hypertable_name = 'metrics') AS oldest
