-- Several collectors share the devices of one configuration. A member holds a lease, which it renews each second by
-- kw.shard_beat(); who its members are and what each is configured to read is an epoch, in force from an instant of this
-- database's clock on. Who owns a device at an instant follows from the epoch of that instant (rendezvous hashing, in
-- src/lib/collector/shards/), so all agree without a word. Everything here is written by that function only.

-- What a member is configured to read: made by the member, named by its hash, never changed.
CREATE TABLE kw.shard_offers (
  fingerprint text PRIMARY KEY,
  -- Each a group that is read as a whole: its key, then its devices, one a line.
  keys text[] NOT NULL,
  devices int NOT NULL
);

CREATE TABLE kw.shard_leases (
  collector_id uuid PRIMARY KEY,
  fingerprint text NOT NULL,
  -- It has a list of its own: what it offers is its as long as it lives.
  fixed boolean NOT NULL,
  -- Devices that it is configured to read, and those that it owns by its own account.
  devices int NOT NULL,
  owned int NOT NULL,
  renewed_at timestamptz NOT NULL,
  -- Until then it is a member, heard of or not.
  expires_at timestamptz NOT NULL,
  -- When its offer changed last.
  changed_at timestamptz NOT NULL,
  -- It was given more time once, after an outage of the database; until it is heard of.
  extended boolean NOT NULL DEFAULT false
) WITH (fillfactor = 50);

CREATE TABLE kw.shard_epochs (
  epoch bigint PRIMARY KEY,
  since timestamptz NOT NULL,
  made_at timestamptz NOT NULL,
  -- [{"collector": uuid, "fingerprint": text, "fixed": boolean}]
  members jsonb NOT NULL
);

-- One row. Whoever makes an epoch holds it; whoever stores rows looks at it.
CREATE TABLE kw.shard_state (
  single boolean PRIMARY KEY DEFAULT true CHECK (single),
  epoch bigint NOT NULL
) WITH (fillfactor = 50);
INSERT INTO kw.shard_state (epoch) VALUES (0);

-- No device is named in these two.
GRANT SELECT ON kw.shard_leases, kw.shard_epochs TO kw_reader, kw_collector;
GRANT SELECT ON kw.shard_offers TO kw_collector;

-- The last epoch. Waits for one that is being made: after the answer every new epoch begins later than now, so rows of
-- before are not touched by it. The lock goes back at once: a transaction that hangs while it stores must not keep a
-- dead collector's devices from being taken over.
CREATE FUNCTION kw.shard_hold() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '5s' AS $$
DECLARE
  last bigint;
BEGIN
  BEGIN
    SELECT s.epoch INTO last FROM kw.shard_state s FOR SHARE;
    RAISE SQLSTATE 'KW026';
  EXCEPTION WHEN SQLSTATE 'KW026' THEN
    NULL;
  END;
  RETURN last;
END
$$;

-- The device that an entry names, of a port that it gives.
CREATE FUNCTION kw.shard_device(device text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
RETURN regexp_replace(device, '-port[0-9]+$', '');

-- A collector whose lease is over is configured to read no more what others read now: since that instant its
-- silence is no gap.
CREATE FUNCTION kw.shard_bury(dead uuid, offer text, members jsonb, since timestamptz) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
  WITH offered AS (
    SELECT DISTINCT split_part(k, E'\n', 1) AS key
    FROM kw.shard_offers o CROSS JOIN unnest(o.keys) k
    WHERE o.fingerprint IN (SELECT m ->> 'fingerprint' FROM jsonb_array_elements($3) m)
  ), moved AS MATERIALIZED (
    SELECT DISTINCT d.device
    FROM kw.shard_offers o CROSS JOIN unnest(o.keys) k
    CROSS JOIN LATERAL string_to_table(k, E'\n') WITH ORDINALITY d (device, place)
    WHERE o.fingerprint = $2 AND d.place > 1 AND split_part(k, E'\n', 1) IN (SELECT key FROM offered)
  ), states AS (
    DELETE FROM kw.device_status s
    WHERE s.collector_id = $1 AND (s.device_id IN (SELECT device FROM moved)
      OR kw.shard_device(s.device_id) IN (SELECT device FROM moved))
  ), gone AS (
    DELETE FROM kw.metric_catalogue c
    WHERE c.collector_id = $1 AND (c.device_id IN (SELECT device FROM moved)
      OR kw.shard_device(c.device_id) IN (SELECT device FROM moved))
    RETURNING device_id, metric_id, alias, optional, protocol, c.since, entry_name
  )
  INSERT INTO kw.metric_catalogue_past (collector_id, device_id, metric_id, alias, optional, protocol, since, until)
  SELECT $1, device_id, metric_id, alias, optional, protocol, gone.since, $4
  FROM gone WHERE entry_name IS NULL AND gone.since < $4
$$;

-- One beat of a collector: renews its lease, ends those that are over, and makes the next epoch if anything changed.
-- keys: its offer, when the answer before said that it is not known. leaving: it stops soon, in an orderly way.
-- Returns {"now": microseconds on this clock, "missing": whether the offer must be told, "since": of the epoch that
-- this beat made, "epochs": those after known_epoch}.
CREATE FUNCTION kw.shard_beat(
  collector uuid, fingerprint text, keys text[], fixed boolean, owned int, known_epoch bigint, leaving boolean
) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
#variable_conflict use_column
DECLARE
  lease constant interval := '5 seconds';
  -- What the others need to take over an outage of the database: to notice, to connect, to beat.
  grace constant interval := '8 seconds';
  -- Old and new owner must both know of an epoch before it begins; and no row that is being stored when it is made
  -- may be of its time.
  notice constant interval := '2 seconds';
  margin constant interval := '0.5 seconds';
  me constant uuid := $1;
  offer constant text := $2;
  t timestamptz := clock_timestamp();
  mine kw.shard_leases;
  last kw.shard_epochs;
  members jsonb;
  offered int;
  begins timestamptz;
  expired record;
  someone_died boolean := false;
  changes boolean;
BEGIN
  IF me IS NULL OR fixed IS NULL OR leaving IS NULL OR offer IS NULL OR owned NOT BETWEEN 0 AND 100000 THEN
    RAISE EXCEPTION 'a beat lacks something' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  SELECT * INTO mine FROM kw.shard_leases l WHERE l.collector_id = me;
  -- A change of its offer waits until the last one is a while ago.
  changes := CASE WHEN leaving THEN mine.collector_id IS NOT NULL
    ELSE mine.collector_id IS NULL
      OR ((mine.fingerprint <> offer OR mine.fixed <> $4) AND mine.changed_at < t - notice) END;
  IF changes AND NOT leaving THEN
    SELECT o.devices INTO offered FROM kw.shard_offers o WHERE o.fingerprint = offer;
    IF offered IS NULL AND keys IS NULL THEN
      RETURN jsonb_build_object('now', floor(extract(epoch FROM t) * 1e6)::bigint,
        'last', (SELECT s.epoch FROM kw.shard_state s), 'missing', true, 'epochs', '[]'::jsonb);
    END IF;
  END IF;
  IF changes OR EXISTS (SELECT FROM kw.shard_leases l WHERE l.expires_at < t AND l.collector_id <> me) THEN
    PERFORM FROM kw.shard_state s FOR UPDATE;
    t := clock_timestamp();
    -- Nobody was heard of, so the database was away: they get the time to come back.
    IF (SELECT max(l.renewed_at) FROM kw.shard_leases l) < t - interval '3 seconds' THEN
      UPDATE kw.shard_leases l SET expires_at = greatest(l.expires_at, t + grace), extended = true
      WHERE NOT l.extended AND l.collector_id <> me;
    END IF;
    SELECT * INTO last FROM kw.shard_epochs e ORDER BY e.epoch DESC LIMIT 1;
    IF changes AND NOT leaving THEN
      IF offered IS NULL THEN
        IF cardinality(keys) > 100000 OR octet_length(array_to_string(keys, E'\x01')) > 16000000
          OR offer <> left(encode(sha256(convert_to(array_to_string(keys, E'\x01'), 'UTF8')), 'hex'), 32)
          OR EXISTS (SELECT FROM unnest(keys) k WHERE k IS NULL OR k NOT LIKE E'%\n%') THEN
          RAISE EXCEPTION 'this is no offer' USING ERRCODE = 'invalid_parameter_value';
        END IF;
        offered := (SELECT coalesce(sum(length(k) - length(replace(k, E'\n', ''))), 0) FROM unnest(keys) k);
        INSERT INTO kw.shard_offers (fingerprint, keys, devices) VALUES (offer, keys, offered) ON CONFLICT DO NOTHING;
      END IF;
      INSERT INTO kw.shard_leases AS l
        (collector_id, fingerprint, fixed, devices, owned, renewed_at, expires_at, changed_at)
      VALUES (me, offer, $4, offered, $5, t, t + lease, t)
      ON CONFLICT (collector_id) DO UPDATE SET fingerprint = excluded.fingerprint, fixed = excluded.fixed,
        devices = excluded.devices, changed_at = excluded.changed_at;
      IF (SELECT count(*) FROM kw.shard_leases) > 64 THEN
        RAISE EXCEPTION 'more than 64 collectors share their devices' USING ERRCODE = 'program_limit_exceeded';
      END IF;
    ELSIF leaving THEN
      DELETE FROM kw.shard_leases l WHERE l.collector_id = me;
    END IF;
    SELECT coalesce(jsonb_agg(jsonb_build_object('collector', l.collector_id, 'fingerprint', l.fingerprint, 'fixed', l.fixed)
        ORDER BY l.collector_id), '[]') INTO members
    FROM kw.shard_leases l WHERE l.expires_at >= t OR l.collector_id = me;
    IF last.members IS DISTINCT FROM members AND NOT (last.members IS NULL AND members = '[]') THEN
      someone_died := EXISTS (SELECT FROM kw.shard_leases l WHERE l.expires_at < t AND l.collector_id <> me);
      begins := CASE
        WHEN last.members IS NULL OR last.members = '[]' THEN t
        WHEN someone_died THEN t + margin
        ELSE t + notice END;
      -- In the middle between the instants at which most devices are read (multiples of 50 ms), so that both owners see
      -- an interval on the same side of it.
      begins := to_timestamp(floor(extract(epoch FROM begins) * 20) / 20 + 0.035);
      begins := greatest(begins, last.since);
      FOR expired IN
        DELETE FROM kw.shard_leases l WHERE l.expires_at < t AND l.collector_id <> me RETURNING l.collector_id, l.fingerprint
      LOOP
        PERFORM kw.shard_bury(expired.collector_id, expired.fingerprint, members, begins);
      END LOOP;
      INSERT INTO kw.shard_epochs (epoch, since, made_at, members)
      VALUES (coalesce(last.epoch, 0) + 1, begins, t, members);
      UPDATE kw.shard_state s SET epoch = coalesce(last.epoch, 0) + 1;
      -- Kept for as long as a spool may hold what was read then.
      IF last.epoch % 20 = 0 THEN
        DELETE FROM kw.shard_epochs e WHERE e.epoch < greatest(last.epoch - 10000,
          (SELECT max(o.epoch) FROM kw.shard_epochs o WHERE o.since < t - interval '40 days'));
        DELETE FROM kw.shard_offers o
        WHERE NOT EXISTS (SELECT FROM kw.shard_leases l WHERE l.fingerprint = o.fingerprint)
          AND o.fingerprint NOT IN (
            SELECT m ->> 'fingerprint' FROM kw.shard_epochs e CROSS JOIN jsonb_array_elements(e.members) m);
      END IF;
      PERFORM pg_notify('kw_shards', '');
    END IF;
  END IF;
  IF NOT leaving THEN
    UPDATE kw.shard_leases l
    SET owned = $5, renewed_at = t, expires_at = greatest(t + lease, l.expires_at), extended = false
    WHERE l.collector_id = me;
  END IF;
  RETURN jsonb_build_object(
    'now', floor(extract(epoch FROM clock_timestamp()) * 1e6)::bigint,
    'last', (SELECT s.epoch FROM kw.shard_state s),
    'missing', false,
    'since', floor(extract(epoch FROM begins) * 1e6)::bigint,
    'epochs', coalesce((
      SELECT jsonb_agg(jsonb_build_object('epoch', e.epoch, 'since', floor(extract(epoch FROM e.since) * 1e6)::bigint,
        'members', e.members) ORDER BY e.epoch)
      FROM kw.shard_epochs e WHERE e.epoch > coalesce(known_epoch, -1)), '[]'));
END
$$;

REVOKE ALL ON FUNCTION kw.shard_hold, kw.shard_device, kw.shard_bury, kw.shard_beat FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kw.shard_hold, kw.shard_beat TO kw_collector;
