-- Devices that users push for. What collectors read is in the catalogue; these are in no list, and could only be typed.

CREATE TABLE kw.pushed_devices (
  device_id text PRIMARY KEY,
  -- The last day (UTC) on which something was.
  pushed_on date NOT NULL
);

ALTER FUNCTION kw.judge_and_store(timestamptz[], text[], text[], float8[], jsonb[], boolean) RENAME TO judge_and_write;

-- As before, and remembers the devices. All that users push is stored by this one.
CREATE FUNCTION kw.judge_and_store(
  timestamps timestamptz[],
  devices text[],
  metrics text[],
  sample_values float8[],
  label_sets jsonb[],
  at_their_time boolean
) RETURNS TABLE (sample int, reason text, stored_labels jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kw, pg_temp AS $$
#variable_conflict use_column
DECLARE
  today date := (now() AT TIME ZONE 'UTC')::date;
BEGIN
  RETURN QUERY
  WITH done AS MATERIALIZED (
    SELECT w.sample, w.reason, w.stored_labels
    FROM kw.judge_and_write(timestamps, devices, metrics, sample_values, label_sets, at_their_time) w
  ), noted AS (
    INSERT INTO kw.pushed_devices AS p (device_id, pushed_on)
    SELECT DISTINCT devices[d.sample], today FROM done d
    WHERE d.reason IS NULL AND NOT EXISTS (
      SELECT FROM kw.pushed_devices o WHERE o.device_id = devices[d.sample] AND o.pushed_on >= today)
    ON CONFLICT (device_id) DO UPDATE SET pushed_on = excluded.pushed_on WHERE p.pushed_on < excluded.pushed_on
  )
  SELECT d.sample, d.reason, d.stored_labels FROM done d ORDER BY d.sample;
END
$$;
REVOKE ALL ON FUNCTION kw.judge_and_store FROM PUBLIC;

-- The table itself is for nobody; users see the devices that they see.
INSERT INTO kw.scoped_views (place, name, everything, own_jobs) VALUES
(31, 'pushed_devices_visible', $all$
  SELECT device_id, pushed_on FROM kw.pushed_devices
$all$, $own$
  SELECT device_id, pushed_on FROM kw.pushed_devices
  WHERE (SELECT kw.sees_all()) OR device_id IN (SELECT node FROM kw.own_node_times)
$own$);
SELECT kw.apply_rights();
