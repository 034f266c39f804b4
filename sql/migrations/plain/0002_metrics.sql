-- The one table of measurements, partitioned by day (UTC). Partitions are made a week ahead by kw.maintain()
-- and for stray days by kw.ensure_storage().
CREATE TABLE kw.metrics (
  timestamp timestamptz NOT NULL DEFAULT now(),
  device_id text NOT NULL,
  metric_id text NOT NULL,
  value double precision NOT NULL DEFAULT 'NaN',
  labels jsonb NOT NULL DEFAULT '{}'
) PARTITION BY RANGE (timestamp);

-- Every further index costs about 3 us of CPU a row. `labels ->> '_device_alias' = ...` implies the condition of
-- the second one, so that queries need not repeat it.
CREATE INDEX metrics_device_timestamp ON kw.metrics (device_id, timestamp DESC);
CREATE INDEX metrics_alias_timestamp ON kw.metrics ((labels ->> '_device_alias'), timestamp DESC)
  WHERE labels ->> '_device_alias' IS NOT NULL;

GRANT SELECT ON kw.metrics TO kw_reader;
GRANT INSERT ON kw.metrics TO kw_collector;

-- The partitions of kw.metrics with their days.
CREATE VIEW kw.metrics_partitions AS
SELECT c.oid AS relation, c.relname AS name, substr(c.relname, 10)::date AS day
FROM pg_catalog.pg_inherits i
JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'kw.metrics'::regclass;
GRANT SELECT ON kw.metrics_partitions TO kw_reader, kw_collector;

-- Makes the partition of one day unless it is there. True when it was made.
-- CREATE TABLE ... PARTITION OF would lock out every reader and writer of kw.metrics; ATTACH does not.
CREATE FUNCTION kw.make_partition(day date) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, kw, pg_temp AS $$
DECLARE
  name text := 'metrics_p' || to_char(day, 'YYYYMMDD');
BEGIN
  IF EXISTS (SELECT FROM kw.metrics_partitions p WHERE p.day = make_partition.day) THEN
    RETURN false;
  END IF;
  -- One maker at a time, by the lock that ATTACH takes anyway: anybody could take an advisory lock and keep it.
  LOCK TABLE ONLY kw.metrics IN SHARE UPDATE EXCLUSIVE MODE;
  IF EXISTS (SELECT FROM kw.metrics_partitions p WHERE p.day = make_partition.day) THEN
    RETURN false;
  END IF;
  EXECUTE format('CREATE TABLE kw.%I (LIKE kw.metrics INCLUDING DEFAULTS)', name);
  EXECUTE format('ALTER TABLE kw.metrics ATTACH PARTITION kw.%I FOR VALUES FROM (%L) TO (%L)',
    name, day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
  RETURN true;
END
$$;
REVOKE ALL ON FUNCTION kw.make_partition FROM PUBLIC;

-- Makes room for rows between two timestamps; returns the number of partitions made.
CREATE FUNCTION kw.ensure_storage(first timestamptz, last timestamptz) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kw, pg_temp AS $$
DECLARE
  day date := (first AT TIME ZONE 'UTC')::date;
  made int := 0;
BEGIN
  IF first < kw.raw_dropped_before() THEN
    RAISE EXCEPTION 'raw values before % were dropped', kw.raw_dropped_before()
      USING ERRCODE = 'check_violation', HINT = 'see kw db retention';
  END IF;
  IF first < now() - kw.setting_interval('max_past') - interval '1 day'
     OR last > now() + kw.setting_interval('max_future') + interval '8 days' THEN
    RAISE EXCEPTION 'no room for timestamps from % to %: they lie too far from now', first, last
      USING ERRCODE = 'check_violation', HINT = 'see max_past and max_future in kw.settings';
  END IF;
  WHILE day <= (last AT TIME ZONE 'UTC')::date LOOP
    made := made + kw.make_partition(day)::int;
    day := day + 1;
  END LOOP;
  RETURN made;
END
$$;
REVOKE ALL ON FUNCTION kw.ensure_storage FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kw.ensure_storage TO kw_collector;

SELECT kw.ensure_storage(now() - interval '1 day', now() + interval '7 days');
