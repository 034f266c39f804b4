-- Values that users push, and take back.

-- How many different devices and label sets a user pushed for a metric in a day. Each becomes a segment of its
-- own when a chunk is compressed, hence the setting label_sets_per_day.
CREATE TABLE kw.pushed_label_sets (
  day date NOT NULL,
  owner text NOT NULL,
  metric_id text NOT NULL,
  hash bigint NOT NULL,
  PRIMARY KEY (day, owner, metric_id, hash)
);

-- Why a label set cannot be stored, or NULL. Sizes are those of compact JSON, as in src/lib/limits.ts.
CREATE FUNCTION kw.labels_problem(labels jsonb) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
RETURN CASE
  WHEN labels IS NULL THEN NULL
  WHEN jsonb_typeof(labels) <> 'object' THEN 'the labels are no JSON object'
  WHEN EXISTS (SELECT FROM jsonb_each(labels) e WHERE jsonb_typeof(e.value) NOT IN ('string', 'number', 'boolean'))
    THEN 'the value of a label is neither text nor a number'
  WHEN octet_length(labels::text) - greatest(2 * (SELECT count(*) FROM jsonb_object_keys(labels)) - 1, 0) > 1024
    THEN 'the labels have ' || octet_length(labels::text) - greatest(2 * (SELECT count(*) FROM jsonb_object_keys(labels)) - 1, 0)
      || ' bytes as JSON, and at most 1024 can be stored'
END;

INSERT INTO kw.settings (name, value, description) VALUES
  ('push_collected_metrics', 'false', 'whether users may push values of metrics that a collector reads of the same device');

-- Whether a collector reads this metric of this device, under its own name or as its alias. An entry for a
-- Prometheus page stands for all metrics that begin with prom_.
CREATE FUNCTION kw.is_collected(device text, metric text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
RETURN EXISTS (
  SELECT FROM kw.metric_catalogue c
  WHERE (c.device_id = device OR (c.alias = device AND c.alias <> ''))
    AND (c.metric_id = metric OR (starts_with(c.protocol, 'prometheus') AND starts_with(metric, 'prom_'))));

-- Stores what a user pushes: arrays of equal length, one element a sample; the labels of a sample may be null.
-- Labels that begin with `_` are not for users to set and are removed; `_inserted_by` says who it was.
-- Numbers and truth values of labels become text. A metric that a collector reads of the same device is not for
-- users to write, or nobody could trust it (setting push_collected_metrics). Returns the samples that were refused
-- (counted from 1) and why; all others are stored. All or nothing: roll back when there are any.
CREATE FUNCTION kw.insert_samples(
  timestamps timestamptz[],
  devices text[],
  metrics text[],
  sample_values float8[],
  label_sets jsonb[]
) RETURNS TABLE (sample int, reason text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kw, pg_temp AS $$
DECLARE
  length int := coalesce(cardinality(timestamps), 0);
  oldest timestamptz := greatest(now() - kw.setting_interval('max_past'), kw.raw_dropped_before());
  newest timestamptz := now() + kw.setting_interval('max_future');
  may_forge boolean := (SELECT s.value = 'true' FROM kw.settings s WHERE s.name = 'push_collected_metrics');
  sets_per_day bigint := (SELECT (s.value #>> '{}')::bigint FROM kw.settings s WHERE s.name = 'label_sets_per_day');
  sets_of_all bigint := (SELECT (s.value #>> '{}')::bigint FROM kw.settings s WHERE s.name = 'sets_per_user_and_day');
BEGIN
  IF array_remove(ARRAY[coalesce(cardinality(devices), 0), coalesce(cardinality(metrics), 0),
      coalesce(cardinality(sample_values), 0), coalesce(cardinality(label_sets), 0)], length) <> '{}' THEN
    RAISE EXCEPTION 'the arrays differ in length' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF length > 100000 THEN
    RAISE EXCEPTION 'more than 100000 samples at once' USING ERRCODE = 'invalid_parameter_value';
  END IF;

  PERFORM kw.ensure_storage(min(t), max(t))
  FROM unnest(timestamps) t
  WHERE t BETWEEN oldest AND newest
  GROUP BY date_trunc('day', t AT TIME ZONE 'UTC');

  RETURN QUERY
  WITH given AS (
    SELECT u.at, u.device, u.metric, u.number, u.ordinal, coalesce(u.labels, '{}') AS labels
    FROM unnest(timestamps, devices, metrics, sample_values, label_sets)
      WITH ORDINALITY AS u (at, device, metric, number, labels, ordinal)
  ), own AS (
    SELECT g.*, CASE WHEN jsonb_typeof(g.labels) <> 'object' OR g.labels = '{}' THEN g.labels ELSE
      (SELECT coalesce(jsonb_object_agg(e.key,
          CASE WHEN jsonb_typeof(e.value) IN ('number', 'boolean') THEN to_jsonb(e.value #>> '{}') ELSE e.value END), '{}')
       FROM jsonb_each(g.labels) e WHERE NOT starts_with(e.key, '_')) END AS own_labels
    FROM given g
  ), collected AS MATERIALIZED (
    SELECT g.device, g.metric FROM given g WHERE NOT may_forge GROUP BY g.device, g.metric
    HAVING kw.is_collected(g.device, g.metric)
  ), checked AS MATERIALIZED (
    SELECT o.at, o.device, o.metric, o.number, o.ordinal, o.own_labels,
      hashtextextended(o.device || E'\n' || o.own_labels::text, 0) AS hash,
      coalesce(
        kw.name_problem('device', o.device),
        kw.name_problem('metric', o.metric),
        CASE
          WHEN (o.device, o.metric) IN (SELECT c.device, c.metric FROM collected c)
            THEN 'a collector reads this metric of this device: choose another name for yours'
          WHEN o.number IS NULL THEN 'there is no value'
          WHEN o.at IS NULL THEN 'there is no timestamp'
          WHEN o.at > newest
            AND to_timestamp(extract(epoch FROM o.at) / 1000) BETWEEN oldest AND newest
            THEN 'the timestamp lies too far in the future (milliseconds instead of seconds?)'
          WHEN o.at > newest THEN 'the timestamp lies too far in the future'
          WHEN o.at < oldest THEN 'the timestamp lies too far in the past'
        END,
        kw.labels_problem(o.own_labels)) AS problem
    FROM own o
  ), new_sets AS (
    SELECT n.metric, n.hash, row_number() OVER (PARTITION BY n.metric ORDER BY n.first_ordinal) AS rank,
      row_number() OVER (ORDER BY n.first_ordinal) AS rank_of_all
    FROM (
      SELECT c.metric, c.hash, min(c.ordinal) AS first_ordinal
      FROM checked c
      WHERE c.problem IS NULL AND NOT EXISTS (
        SELECT FROM kw.pushed_label_sets p
        WHERE p.day = current_date AND p.owner = session_user AND p.metric_id = c.metric AND p.hash = c.hash)
      GROUP BY c.metric, c.hash
    ) n
  ), judged_sets AS (
    SELECT n.metric, n.hash, CASE
      WHEN n.rank + (SELECT count(*) FROM kw.pushed_label_sets p
        WHERE p.day = current_date AND p.owner = session_user AND p.metric_id = n.metric) > sets_per_day
        THEN 'you pushed ' || sets_per_day || ' different devices and label sets for this metric today, which is the limit'
      WHEN n.rank_of_all + (SELECT count(*) FROM kw.pushed_label_sets p
        WHERE p.day = current_date AND p.owner = session_user) > sets_of_all
        THEN 'you pushed ' || sets_of_all || ' different metrics, devices and label sets today, which is the limit'
      END AS problem
    FROM new_sets n
  ), decided AS MATERIALIZED (
    SELECT c.*, coalesce(c.problem, a.problem) AS verdict
    FROM checked c LEFT JOIN judged_sets a ON c.problem IS NULL AND a.metric = c.metric AND a.hash = c.hash
  ), remembered AS (
    INSERT INTO kw.pushed_label_sets (day, owner, metric_id, hash)
    SELECT current_date, session_user, a.metric, a.hash FROM judged_sets a WHERE a.problem IS NULL
    ON CONFLICT DO NOTHING
  ), stored AS (
    INSERT INTO kw.metrics (timestamp, device_id, metric_id, value, labels)
    SELECT d.at, d.device, d.metric, d.number, d.own_labels || jsonb_build_object('_inserted_by', session_user)
    FROM decided d WHERE d.verdict IS NULL
    ORDER BY d.device, d.at
  )
  SELECT d.ordinal::int, d.verdict FROM decided d WHERE d.verdict IS NOT NULL ORDER BY d.ordinal;
END
$$;

-- Deletes values that the caller pushed: of some devices and metrics (null: of all), between two timestamps
-- (bounds included; null: open), with these labels. Without dry_run => false it only counts. Returns the number.
CREATE FUNCTION kw.delete_pushed(
  devices text[],
  metrics text[],
  first timestamptz DEFAULT NULL,
  last timestamptz DEFAULT NULL,
  wanted_labels jsonb DEFAULT '{}',
  dry_run boolean DEFAULT true
) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kw, pg_temp AS $$
DECLARE
  series record;
  part bigint;
  total bigint := 0;
  low timestamptz := coalesce(first, '-infinity');
  high timestamptz := coalesce(last, 'infinity');
BEGIN
  -- TimescaleDB bounds what a statement may unpack; the series below are all that is unpacked.
  PERFORM set_config('timescaledb.max_tuples_decompressed_per_dml_transaction', '0', true);
  -- One statement a series: device, metric and labels are the keys by which compressed chunks find their rows.
  FOR series IN
    SELECT m.device_id, m.metric_id, m.labels, count(*) AS rows, min(m.timestamp) AS low, max(m.timestamp) AS high
    FROM kw.metrics m
    WHERE m.labels ->> '_inserted_by' = session_user
      AND (devices IS NULL OR m.device_id = ANY (devices))
      AND (metrics IS NULL OR m.metric_id = ANY (metrics))
      AND m.timestamp >= low AND m.timestamp <= high
      AND m.labels @> coalesce(wanted_labels, '{}')
    GROUP BY m.device_id, m.metric_id, m.labels
  LOOP
    IF dry_run THEN
      total := total + series.rows;
    ELSE
      DELETE FROM kw.metrics m
      WHERE m.device_id = series.device_id AND m.metric_id = series.metric_id AND m.labels = series.labels
        AND m.timestamp >= series.low AND m.timestamp <= series.high;
      GET DIAGNOSTICS part = ROW_COUNT;
      total := total + part;
    END IF;
  END LOOP;
  RETURN total;
END
$$;

REVOKE ALL ON FUNCTION kw.is_collected, kw.labels_problem, kw.insert_samples, kw.delete_pushed FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kw.insert_samples, kw.delete_pushed TO kw_writer;
