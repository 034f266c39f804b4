-- metrics_summary: 5 minutes a row, of finite values only (one NaN would turn avg and max into NaN), the others
-- counted apart. value is the mean; of counters (`_total`) the last one. Labels that change with every reading
-- do not separate series. Real-time: what is not yet materialised is computed when it is read.
CREATE MATERIALIZED VIEW kw.metrics_summary
WITH (timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.create_group_indexes = false) AS
SELECT
  time_bucket(INTERVAL '5 minutes', timestamp) AS bucket,
  device_id,
  metric_id,
  labels - '{value_str,_metric_scrape_time,_timestamp}'::text[] AS labels,
  CASE WHEN right(metric_id, 6) = '_total'
    THEN last(value, timestamp) FILTER (WHERE value > '-Infinity' AND value < 'Infinity')
    ELSE avg(value) FILTER (WHERE value > '-Infinity' AND value < 'Infinity')
  END AS value,
  min(value) FILTER (WHERE value > '-Infinity' AND value < 'Infinity') AS min,
  max(value) FILTER (WHERE value > '-Infinity' AND value < 'Infinity') AS max,
  count(*) FILTER (WHERE value > '-Infinity' AND value < 'Infinity') AS count,
  count(*) FILTER (WHERE NOT (value > '-Infinity' AND value < 'Infinity')) AS count_not_finite,
  labels ->> '_device_alias' AS device_alias
FROM kw.metrics
GROUP BY 1, 2, 3, 4, 10
WITH NO DATA;
CREATE INDEX metrics_summary_device_bucket ON kw.metrics_summary (device_id, bucket);
CREATE INDEX metrics_summary_alias_bucket ON kw.metrics_summary (device_alias, bucket);
GRANT SELECT ON kw.metrics_summary TO kw_reader;

-- One refresh, with the schema of the extension written in: EXECUTE could not run what commits.
DO $$
BEGIN
  EXECUTE format($procedure$
    CREATE PROCEDURE kw.refresh_range(first timestamptz, last timestamptz) LANGUAGE plpgsql AS
    'BEGIN CALL %I.refresh_continuous_aggregate(''kw.metrics_summary'', first, last); END'
  $procedure$, (
    SELECT n.nspname FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
    WHERE e.extname = 'timescaledb'));
END
$$;
REVOKE ALL ON PROCEDURE kw.refresh_range FROM PUBLIC;

-- Refreshes the summary where raw values changed (TimescaleDB keeps a log of that, late rows included), then
-- drops what is older than the retention asks for. Runs every 5 minutes as a job of TimescaleDB.
-- It never refreshes where there is no raw chunk: dropping a chunk counts as a change, and a refresh there
-- would delete the summary of what was dropped. Hence one call for each run of adjoining chunks.
CREATE PROCEDURE kw.refresh_summary(job_id int DEFAULT NULL, config jsonb DEFAULT NULL)
LANGUAGE plpgsql AS $$
DECLARE
  settled timestamptz;
  extension_schema name;
  first_times timestamptz[];
  last_times timestamptz[];
  dropped timestamptz;
BEGIN
  -- A procedure that commits can have no SET clause, and what it sets ends with each COMMIT. It runs as the owner:
  -- where others may create in a schema of its path, their functions would be called with the owner's rights.
  PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  settled := date_bin('5 minutes', now() - interval '10 minutes', '2000-01-01 00:00Z');
  SELECT n.nspname INTO extension_schema
  FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
  WHERE e.extname = 'timescaledb';

  SELECT array_agg(r.first_time ORDER BY r.first_time), array_agg(r.last_time ORDER BY r.first_time)
  INTO first_times, last_times
  FROM (
    SELECT greatest(min(s.range_start), kw.raw_dropped_before()) AS first_time,
           least(max(s.range_end), settled) AS last_time
    FROM (
      SELECT c.*, count(*) FILTER (WHERE c.is_start) OVER (ORDER BY c.range_start) AS run
      FROM (
        SELECT range_start, range_end,
               range_start IS DISTINCT FROM lag(range_end) OVER (ORDER BY range_start) AS is_start
        FROM timescaledb_information.chunks
        WHERE hypertable_schema = 'kw' AND hypertable_name = 'metrics'
      ) c
    ) s
    GROUP BY s.run
  ) r
  WHERE r.first_time <= r.last_time - interval '5 minutes';

  COMMIT; -- each refresh has transactions of its own
  PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  FOR i IN 1 .. coalesce(cardinality(first_times), 0) LOOP
    CALL kw.refresh_range(first_times[i], last_times[i]);
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  END LOOP;

  IF kw.setting_interval('raw_retention') IS NOT NULL THEN
    SELECT max(c.range_end) INTO dropped
    FROM timescaledb_information.chunks c
    WHERE c.hypertable_schema = 'kw' AND c.hypertable_name = 'metrics'
      AND c.range_end <= least(now() - kw.setting_interval('raw_retention'), settled);
    IF dropped > kw.raw_dropped_before() THEN
      UPDATE kw.settings SET value = to_jsonb(dropped) WHERE name = 'raw_dropped_before';
    END IF;
    IF dropped IS NOT NULL THEN
      EXECUTE format('SELECT %I.drop_chunks(%L, older_than => %L::timestamptz)', extension_schema, 'kw.metrics', dropped);
    END IF;
    COMMIT;
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  END IF;
  IF kw.setting_interval('summary_retention') IS NOT NULL THEN
    EXECUTE format('SELECT %I.drop_chunks(%L, older_than => %L::timestamptz)', extension_schema,
      'kw.metrics_summary', now() - kw.setting_interval('summary_retention'));
  END IF;
END
$$;
REVOKE ALL ON PROCEDURE kw.refresh_summary FROM PUBLIC;
SELECT add_job('kw.refresh_summary', INTERVAL '5 minutes');
