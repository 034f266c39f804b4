-- Where TimescaleDB keeps what is materialised of kw.metrics_summary.
SELECT format('%I.%I', materialization_hypertable_schema, materialization_hypertable_name)
FROM timescaledb_information.continuous_aggregates
WHERE view_schema = 'kw' AND view_name = 'metrics_summary'
