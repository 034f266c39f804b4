-- metrics_summary: 5 minutes a row, of finite values only (one NaN would turn avg and max into NaN), the others
-- counted apart. value is the mean; of counters (`_total`) the last one. Labels that change with every reading
-- do not separate series.
--
--   summary_stored    the rows before the watermark, stored by kw.refresh_summary()
--   metrics_summary   these, and from the watermark on the same computed from the raw values
CREATE TABLE kw.summary_stored (
  bucket timestamptz NOT NULL,
  device_id text NOT NULL,
  metric_id text NOT NULL,
  labels jsonb NOT NULL,
  value double precision,
  min double precision,
  max double precision,
  count bigint NOT NULL,
  count_not_finite bigint NOT NULL,
  device_alias text
);
CREATE INDEX summary_stored_bucket ON kw.summary_stored (bucket);
CREATE INDEX summary_stored_device_bucket ON kw.summary_stored (device_id, bucket);
CREATE INDEX summary_stored_alias_bucket ON kw.summary_stored (device_alias, bucket) WHERE device_alias IS NOT NULL;

-- One row. Buckets before the watermark are stored.
CREATE TABLE kw.summary_state (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  watermark timestamptz NOT NULL
);
INSERT INTO kw.summary_state (watermark)
VALUES (date_bin('5 minutes', now() - interval '20 minutes', '2000-01-01 00:00Z'));

-- Buckets in which rows came or went after they were stored, one row a change.
CREATE TABLE kw.summary_late (
  bucket timestamptz NOT NULL,
  device_id text NOT NULL
);

CREATE VIEW kw.metrics_summary AS
SELECT bucket, device_id, metric_id, labels, value, min, max, count, count_not_finite, device_alias
FROM kw.summary_stored
WHERE bucket < (SELECT watermark FROM kw.summary_state)
UNION ALL
SELECT
  date_bin('5 minutes', timestamp, '2000-01-01 00:00Z') AS bucket,
  device_id,
  metric_id,
  labels - '{value_str,_metric_scrape_time,_timestamp}'::text[] AS labels,
  CASE WHEN right(metric_id, 6) = '_total'
    THEN (array_agg(value ORDER BY timestamp DESC)
          FILTER (WHERE right(metric_id, 6) = '_total' AND value > '-Infinity' AND value < 'Infinity'))[1]
    ELSE avg(value) FILTER (WHERE value > '-Infinity' AND value < 'Infinity')
  END AS value,
  min(value) FILTER (WHERE value > '-Infinity' AND value < 'Infinity') AS min,
  max(value) FILTER (WHERE value > '-Infinity' AND value < 'Infinity') AS max,
  count(*) FILTER (WHERE value > '-Infinity' AND value < 'Infinity') AS count,
  count(*) FILTER (WHERE NOT (value > '-Infinity' AND value < 'Infinity')) AS count_not_finite,
  labels ->> '_device_alias' AS device_alias
FROM kw.metrics
WHERE timestamp >= (SELECT watermark FROM kw.summary_state)
GROUP BY 1, 2, 3, 4, 10;
GRANT SELECT ON kw.metrics_summary, kw.summary_state TO kw_reader;

-- Notes the bucket of a late row. Rows of one device and bucket that follow each other are noted once.
CREATE FUNCTION kw.note_late_row() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kw, pg_temp AS $$
DECLARE
  changed record;
  bucket timestamptz;
  key text;
BEGIN
  IF TG_OP = 'DELETE' THEN changed := OLD; ELSE changed := NEW; END IF;
  bucket := date_bin('5 minutes', changed.timestamp, '2000-01-01 00:00Z');
  key := extract(epoch FROM bucket) || ' ' || changed.device_id;
  IF key IS DISTINCT FROM current_setting('kw.late_row', true) THEN
    INSERT INTO kw.summary_late VALUES (bucket, changed.device_id);
    PERFORM set_config('kw.late_row', key, true);
  END IF;
  RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION kw.note_late_row FROM PUBLIC;

-- The watermark stays at least 20 minutes behind, so that younger rows are no concern of these triggers; for
-- them the WHEN costs a comparison and the rows of a COPY still go in together.
CREATE TRIGGER note_late_insert AFTER INSERT ON kw.metrics
FOR EACH ROW WHEN (NEW.timestamp < now() - interval '10 minutes') EXECUTE FUNCTION kw.note_late_row();
CREATE TRIGGER note_late_delete AFTER DELETE ON kw.metrics
FOR EACH ROW WHEN (OLD.timestamp < now() - interval '10 minutes') EXECUTE FUNCTION kw.note_late_row();

-- The summary of the raw values between two timestamps (the last one excluded), of some devices or of all.
-- The same columns as in metrics_summary, written twice: a view takes no bounds, and a function with a search path of
-- its own would not be planned into the view, so that no condition on time or device reached the partitions.
CREATE FUNCTION kw.summary_between(first timestamptz, last timestamptz, devices text[])
RETURNS SETOF kw.summary_stored
LANGUAGE sql STABLE SET search_path = pg_catalog, kw, pg_temp AS $$
SELECT
  date_bin('5 minutes', timestamp, '2000-01-01 00:00Z') AS bucket,
  device_id,
  metric_id,
  labels - '{value_str,_metric_scrape_time,_timestamp}'::text[] AS labels,
  CASE WHEN right(metric_id, 6) = '_total'
    THEN (array_agg(value ORDER BY timestamp DESC)
          FILTER (WHERE right(metric_id, 6) = '_total' AND value > '-Infinity' AND value < 'Infinity'))[1]
    ELSE avg(value) FILTER (WHERE value > '-Infinity' AND value < 'Infinity')
  END AS value,
  min(value) FILTER (WHERE value > '-Infinity' AND value < 'Infinity') AS min,
  max(value) FILTER (WHERE value > '-Infinity' AND value < 'Infinity') AS max,
  count(*) FILTER (WHERE value > '-Infinity' AND value < 'Infinity') AS count,
  count(*) FILTER (WHERE NOT (value > '-Infinity' AND value < 'Infinity')) AS count_not_finite,
  labels ->> '_device_alias' AS device_alias
FROM kw.metrics m
WHERE m.timestamp >= first AND m.timestamp < last AND (devices IS NULL OR m.device_id = ANY (devices))
GROUP BY 1, 2, 3, 4, 10
$$;
REVOKE ALL ON FUNCTION kw.summary_between FROM PUBLIC;

-- Stores the summary of what has settled since the last time, and again that of buckets with late rows.
-- Never touches what lies before kw.raw_dropped_before(). Works for at most max_seconds;
-- true when something is left to do. The caller holds the lock of kw.maintain().
CREATE FUNCTION kw.refresh_summary(max_seconds float8 DEFAULT 20) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, kw, pg_temp AS $$
DECLARE
  settled timestamptz := date_bin('5 minutes', now() - interval '20 minutes', '2000-01-01 00:00Z');
  deadline timestamptz := clock_timestamp() + make_interval(secs => max_seconds);
  low timestamptz;
  high timestamptz;
  late record;
BEGIN
  SELECT s.watermark INTO low FROM kw.summary_state s;
  -- Nobody collected for a while: do not look at hours without rows.
  IF low < settled - interval '1 hour' THEN
    low := greatest(low, least(settled, date_bin('5 minutes',
      coalesce((SELECT m.timestamp FROM kw.metrics m WHERE m.timestamp >= low ORDER BY m.timestamp LIMIT 1), settled),
      '2000-01-01 00:00Z')));
  END IF;
  WHILE low < settled LOOP
    high := least(low + interval '15 minutes', settled);
    DELETE FROM kw.summary_stored s WHERE s.bucket >= low AND s.bucket < high;
    INSERT INTO kw.summary_stored
    SELECT l.* FROM kw.summary_between(low, high, NULL) l;
    low := high;
    EXIT WHEN clock_timestamp() > deadline;
  END LOOP;
  UPDATE kw.summary_state s SET watermark = low WHERE s.watermark < low;
  IF low < settled THEN
    RETURN true;
  END IF;

  FOR late IN
    WITH taken AS (
      DELETE FROM kw.summary_late l WHERE l.ctid = ANY (ARRAY(
        SELECT t.ctid FROM kw.summary_late t WHERE t.bucket < low LIMIT 20000))
      RETURNING l.bucket, l.device_id
    )
    SELECT t.bucket, array_agg(DISTINCT t.device_id) AS devices
    FROM taken t WHERE t.bucket >= kw.raw_dropped_before()
    GROUP BY t.bucket
  LOOP
    DELETE FROM kw.summary_stored s WHERE s.bucket = late.bucket AND s.device_id = ANY (late.devices);
    INSERT INTO kw.summary_stored
    SELECT l.* FROM kw.summary_between(late.bucket, late.bucket + interval '5 minutes', late.devices) l;
  END LOOP;
  RETURN EXISTS (SELECT FROM kw.summary_late l WHERE l.bucket < low);
END
$$;
REVOKE ALL ON FUNCTION kw.refresh_summary FROM PUBLIC;
