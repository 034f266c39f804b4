-- What `kw push --spool` sends: values that waited on the disk of a user's machine while the database was away. And the
-- devices that users push for.

-- How far each spool is stored. A spool is sent in the order of its places (segment, offset), so one row says of every
-- part of it whether it is stored: one whose answer was lost, however long ago, is sent again and stored once.
CREATE TABLE kw.push_spools (
  owner text NOT NULL,
  spool uuid NOT NULL,
  -- The last part that is stored ends here.
  segment bigint NOT NULL,
  "offset" bigint NOT NULL,
  -- What was refused of it, for who asks again.
  refusals jsonb NOT NULL,
  stored_at timestamptz NOT NULL,
  PRIMARY KEY (owner, spool)
);
CREATE INDEX push_spools_age ON kw.push_spools (owner, stored_at);

INSERT INTO kw.settings (name, value, description) VALUES
  ('push_spools_per_user', '10000', 'spools of a user (a machine has some) whose state is known; the longest unused go');

-- Devices that users push for. What collectors read is in the catalogue; these are in no list, and could only be typed.
CREATE TABLE kw.pushed_devices (
  device_id text PRIMARY KEY,
  -- The last day (UTC) on which something was.
  pushed_on date NOT NULL
);

-- All that users push is stored by this one. As kw.store_samples of migration 0016, which is now this one, for nodes that
-- the caller has at this moment. Values that waited are judged by the time that they are of: their job may be over when
-- they arrive.
CREATE FUNCTION kw.judge_and_store(
  timestamps timestamptz[],
  devices text[],
  metrics text[],
  sample_values float8[],
  label_sets jsonb[],
  -- Beside the nodes that the caller has now: those that the caller had at the time of the sample.
  at_their_time boolean
) RETURNS TABLE (sample int, reason text, stored_labels jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kw, pg_temp AS $$
DECLARE
  caller text := kw.require_caller();
  claims jsonb := kw.caller_claims();
  is_free boolean := kw.is_service();
  length int := coalesce(cardinality(timestamps), 0);
  oldest timestamptz := greatest(now() - kw.setting_interval('max_past'), kw.raw_dropped_before());
  newest timestamptz := now() + kw.setting_interval('max_future');
  may_forge boolean := (SELECT s.value = 'true' FROM kw.settings s WHERE s.name = 'push_collected_metrics');
  most_days bigint := (SELECT (s.value #>> '{}')::bigint FROM kw.settings s WHERE s.name = 'days_per_push');
  sets_per_day bigint := (SELECT (s.value #>> '{}')::bigint FROM kw.settings s WHERE s.name = 'label_sets_per_day');
  sets_of_all bigint := (SELECT (s.value #>> '{}')::bigint FROM kw.settings s WHERE s.name = 'sets_per_user_and_day');
  today date := (now() AT TIME ZONE 'UTC')::date;
  verdicts text[];
  stored_sets jsonb[];
BEGIN
  IF array_remove(ARRAY[coalesce(cardinality(devices), 0), coalesce(cardinality(metrics), 0),
      coalesce(cardinality(sample_values), 0), coalesce(cardinality(label_sets), 0)], length) <> '{}' THEN
    RAISE EXCEPTION 'the arrays differ in length' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF length > 100000 THEN
    RAISE EXCEPTION 'more than 100000 samples at once' USING ERRCODE = 'invalid_parameter_value';
  END IF;

  WITH given AS MATERIALIZED (
    SELECT u.at, u.device, u.metric, u.number, u.ordinal, coalesce(u.labels, '{}') AS labels
    FROM unnest(timestamps, devices, metrics, sample_values, label_sets)
      WITH ORDINALITY AS u (at, device, metric, number, labels, ordinal)
  ), own AS (
    SELECT g.*, CASE WHEN jsonb_typeof(g.labels) <> 'object' OR g.labels = '{}' THEN g.labels ELSE
      (SELECT coalesce(jsonb_object_agg(e.key,
          CASE WHEN jsonb_typeof(e.value) IN ('number', 'boolean') THEN to_jsonb(e.value #>> '{}') ELSE e.value END), '{}')
       FROM jsonb_each(g.labels) e WHERE NOT starts_with(e.key, '_')) END AS own_labels
    FROM given g
  ), foreign_devices AS MATERIALIZED (
    SELECT g.device FROM given g WHERE NOT is_free AND g.device IS NOT NULL GROUP BY g.device
    HAVING NOT kw.claim_allows(claims -> 'devices', g.device) AND NOT kw.has_node_now(caller, g.device)
  ), times_there AS MATERIALIZED (
    SELECT t.node, t.first, t.last FROM kw.own_node_times t
    WHERE at_their_time AND t.node IN (SELECT f.device FROM foreign_devices f)
  ), foreign_metrics AS MATERIALIZED (
    SELECT g.metric FROM given g
    WHERE claims ? 'metrics' AND jsonb_typeof(claims -> 'metrics') <> 'null' AND g.metric IS NOT NULL
    GROUP BY g.metric HAVING NOT kw.claim_allows(claims -> 'metrics', g.metric)
  ), collected AS MATERIALIZED (
    SELECT g.device, g.metric FROM given g WHERE NOT may_forge GROUP BY g.device, g.metric
    HAVING kw.is_collected(g.device, g.metric)
  ), collected_anywhere AS MATERIALIZED (
    SELECT g.metric FROM given g WHERE NOT may_forge AND NOT is_free GROUP BY g.metric
    HAVING kw.is_collected_anywhere(g.metric)
  ), judged AS (
    SELECT o.at, o.device, o.metric, o.ordinal, o.own_labels,
      coalesce(
        kw.name_problem('device', o.device),
        kw.name_problem('metric', o.metric),
        CASE
          WHEN o.device IN (SELECT f.device FROM foreign_devices f)
            AND NOT EXISTS (
              SELECT FROM times_there t WHERE t.node = o.device AND o.at BETWEEN t.first AND t.last)
            THEN CASE WHEN at_their_time
              THEN 'no device of yours: neither one of your token nor a node of a job of yours that ran at that time or runs now'
              ELSE 'no device of yours: neither one of your token nor a node of a job of yours that runs now' END
          WHEN o.metric IN (SELECT f.metric FROM foreign_metrics f)
            THEN 'your token does not allow this metric'
          WHEN (o.device, o.metric) IN (SELECT c.device, c.metric FROM collected c)
            THEN 'a collector reads this metric of this device: choose another name for yours'
          WHEN o.metric IN (SELECT c.metric FROM collected_anywhere c)
            THEN 'a collector reads a metric of this name: choose another one for yours'
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
  ), checked AS MATERIALIZED (
    SELECT j.at, j.device, j.metric, j.ordinal, j.own_labels,
      hashtextextended(j.device || E'\n' || j.own_labels::text, 0) AS hash,
      coalesce(j.problem, CASE WHEN d.rank > most_days
        THEN 'values of more than ' || most_days || ' different days in one call' END) AS problem
    FROM judged j LEFT JOIN (
      SELECT date_trunc('day', k.at AT TIME ZONE 'UTC') AS day, row_number() OVER (ORDER BY min(k.ordinal)) AS rank
      FROM judged k WHERE k.problem IS NULL GROUP BY 1
    ) d ON d.day = date_trunc('day', j.at AT TIME ZONE 'UTC')
  ), new_sets AS (
    SELECT n.metric, n.hash, row_number() OVER (PARTITION BY n.metric ORDER BY n.first_ordinal) AS rank,
      row_number() OVER (ORDER BY n.first_ordinal) AS rank_of_all
    FROM (
      SELECT c.metric, c.hash, min(c.ordinal) AS first_ordinal
      FROM checked c
      WHERE c.problem IS NULL AND NOT EXISTS (
        SELECT FROM kw.pushed_label_sets p
        WHERE p.day = current_date AND p.owner = caller AND p.metric_id = c.metric AND p.hash = c.hash)
      GROUP BY c.metric, c.hash
    ) n
  ), judged_sets AS (
    SELECT n.metric, n.hash, CASE
      WHEN n.rank + (SELECT count(*) FROM kw.pushed_label_sets p
        WHERE p.day = current_date AND p.owner = caller AND p.metric_id = n.metric) > sets_per_day
        THEN 'you pushed ' || sets_per_day || ' different devices and label sets for this metric today, which is the limit'
      WHEN n.rank_of_all + (SELECT count(*) FROM kw.pushed_label_sets p
        WHERE p.day = current_date AND p.owner = caller) > sets_of_all
        THEN 'you pushed ' || sets_of_all || ' different metrics, devices and label sets today, which is the limit'
      END AS problem
    FROM new_sets n
  ), decided AS MATERIALIZED (
    SELECT c.ordinal, c.own_labels, coalesce(c.problem, a.problem) AS verdict
    FROM checked c LEFT JOIN judged_sets a ON c.problem IS NULL AND a.metric = c.metric AND a.hash = c.hash
  ), remembered AS (
    INSERT INTO kw.pushed_label_sets (day, owner, metric_id, hash)
    SELECT current_date, caller, a.metric, a.hash FROM judged_sets a WHERE a.problem IS NULL
    ON CONFLICT DO NOTHING
  )
  SELECT array_agg(d.verdict ORDER BY d.ordinal),
    array_agg(CASE WHEN d.verdict IS NULL THEN d.own_labels || jsonb_build_object('_pushed_by', caller) END ORDER BY d.ordinal)
  INTO verdicts, stored_sets FROM decided d;

  PERFORM kw.ensure_storage(min(u.at), max(u.at))
  FROM unnest(timestamps, verdicts) AS u (at, verdict) WHERE u.verdict IS NULL
  GROUP BY date_trunc('day', u.at AT TIME ZONE 'UTC');

  INSERT INTO kw.metrics (timestamp, device_id, metric_id, value, labels)
  SELECT u.at, u.device, u.metric, u.number, u.labels
  FROM unnest(timestamps, devices, metrics, sample_values, stored_sets, verdicts)
    AS u (at, device, metric, number, labels, verdict)
  WHERE u.verdict IS NULL
  ORDER BY u.device, u.at;

  INSERT INTO kw.pushed_devices AS p (device_id, pushed_on)
  SELECT DISTINCT u.device, today FROM unnest(devices, verdicts) AS u (device, verdict)
  WHERE u.verdict IS NULL AND NOT EXISTS (
    SELECT FROM kw.pushed_devices o WHERE o.device_id = u.device AND o.pushed_on >= today)
  ORDER BY u.device
  ON CONFLICT (device_id) DO UPDATE SET pushed_on = excluded.pushed_on WHERE p.pushed_on < excluded.pushed_on;

  RETURN QUERY
  SELECT u.ordinal::int, u.verdict, u.labels
  FROM unnest(verdicts, stored_sets) WITH ORDINALITY AS u (verdict, labels, ordinal) ORDER BY u.ordinal;
END
$$;

CREATE OR REPLACE FUNCTION kw.store_samples(
  timestamps timestamptz[],
  devices text[],
  metrics text[],
  sample_values float8[],
  label_sets jsonb[]
) RETURNS TABLE (sample int, reason text, stored_labels jsonb)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, kw, pg_temp AS $$
  SELECT * FROM kw.judge_and_store(timestamps, devices, metrics, sample_values, label_sets, false)
$$;

-- Stores a part of a spool of the caller, once: what lies behind the place "after" of the segment (0: its beginning) and
-- ends at "upto". Of a part that is stored already it tells what was refused then, as long as it is the last one that
-- was. Returns the samples that were refused (counted from 1) and why. Parts of a spool come in order: what lies before
-- the last one counts as stored.
CREATE FUNCTION kw.insert_spooled(
  spool uuid,
  segment bigint,
  after bigint,
  upto bigint,
  timestamps timestamptz[],
  devices text[],
  metrics text[],
  sample_values float8[],
  label_sets jsonb[]
) RETURNS TABLE (sample int, reason text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kw, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  caller text := kw.require_caller();
  place kw.push_spools;
  most bigint := (SELECT (s.value #>> '{}')::bigint FROM kw.settings s WHERE s.name = 'push_spools_per_user');
  said jsonb;
BEGIN
  IF spool IS NULL OR segment IS NULL OR after IS NULL OR upto IS NULL OR segment < 0 OR after < 0 OR upto <= after THEN
    RAISE EXCEPTION 'this is no place in a spool' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  -- The row is taken first: whoever sends the same part waits here, and finds it stored.
  INSERT INTO kw.push_spools AS p (owner, spool, segment, "offset", refusals, stored_at)
  VALUES (caller, spool, segment, after, '[]', now()) ON CONFLICT DO NOTHING;
  IF FOUND THEN
    DELETE FROM kw.push_spools p
    WHERE p.owner = caller AND p.spool IN (
      SELECT o.spool FROM kw.push_spools o
      WHERE o.owner = caller AND o.spool <> spool
      ORDER BY o.stored_at DESC OFFSET greatest(most - 1, 0)
      FOR UPDATE SKIP LOCKED);
  END IF;
  SELECT * INTO STRICT place FROM kw.push_spools p WHERE p.owner = caller AND p.spool = spool FOR UPDATE;
  IF (place.segment, place."offset") >= (segment, upto) THEN
    IF place.segment = segment AND place."offset" = upto THEN
      RETURN QUERY SELECT (r ->> 0)::int, r ->> 1 FROM jsonb_array_elements(place.refusals) r;
    END IF;
    RETURN;
  END IF;
  IF place.segment = segment AND place."offset" > after THEN
    RAISE EXCEPTION 'a piece of this part of the spool is stored already, up to %', place."offset"
      USING ERRCODE = 'invalid_parameter_value';
  END IF;

  SELECT coalesce(jsonb_agg(jsonb_build_array(s.sample, s.reason) ORDER BY s.sample), '[]') INTO said
  FROM kw.judge_and_store(timestamps, devices, metrics, sample_values, label_sets, true) s
  WHERE s.reason IS NOT NULL;
  UPDATE kw.push_spools p SET segment = segment, "offset" = upto, refusals = said, stored_at = now()
  WHERE p.owner = caller AND p.spool = spool;
  RETURN QUERY SELECT (r ->> 0)::int, r ->> 1 FROM jsonb_array_elements(said) r;
END
$$;

REVOKE ALL ON FUNCTION kw.judge_and_store, kw.insert_spooled FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kw.insert_spooled TO kw_writer;

-- The table of devices itself is for nobody; users see the devices that they see.
INSERT INTO kw.scoped_views (place, name, everything, own_jobs) VALUES
(31, 'pushed_devices_visible', $all$
  SELECT device_id, pushed_on FROM kw.pushed_devices
$all$, $own$
  SELECT device_id, pushed_on FROM kw.pushed_devices
  WHERE (SELECT kw.sees_all()) OR device_id IN (SELECT node FROM kw.own_node_times)
$own$);
SELECT kw.apply_rights();
