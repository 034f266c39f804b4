-- Which collector was to read what, and when, between $2 and $3. $1 devices and aliases, or null for all. $4: whether
-- the metrics that an entry has given are wanted too. until_us is null while it is configured. Times before
-- runs_dropped_before are cut off: nothing is known of them.
WITH entries AS (
  SELECT collector_id, device_id, alias, metric_id, optional, protocol, since, NULL::timestamptz AS until
  FROM kw.catalogue_visible WHERE entry_name IS NULL
  UNION ALL
  SELECT collector_id, device_id, alias, metric_id, optional, protocol, since, until FROM kw.past_catalogue_visible
)
SELECT e.collector_id, e.device_id, e.alias, e.metric_id, e.optional, e.protocol,
  (extract(epoch FROM greatest(e.since, known.since)) * 1e6)::bigint AS since_us,
  (extract(epoch FROM e.until) * 1e6)::bigint AS until_us,
  CASE WHEN $4 THEN ARRAY(
    SELECT m.metric_id FROM kw.catalogue_visible m
    WHERE m.collector_id = e.collector_id AND m.device_id = e.device_id AND m.alias = e.alias
      AND m.entry_name = e.metric_id) END AS gives
FROM entries e,
  (SELECT nullif((value #>> '{}')::timestamptz, '-infinity') AS since
   FROM kw.settings WHERE name = 'runs_dropped_before') known
WHERE ($1::text[] IS NULL OR e.device_id = ANY ($1) OR (e.alias <> '' AND e.alias = ANY ($1)))
  AND e.since <= $3 AND (e.until IS NULL OR e.until >= $2)
