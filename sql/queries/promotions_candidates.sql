-- What kw enable must know, in one round trip: which running jobs are meant, which devices, and what
-- collectors are configured to read there.
--   by device: $1 names as given, $2 the same cut at the first dot (taken unless the first is a device)
--   by job:    $3 number or null, $4 array element such as 1234_7 or null, $5 source or null
WITH jobs AS (
  SELECT source, job_id FROM kw.local_nodetime_visible
  WHERE job_id = $3::bigint AND start_time <= now() AND (stop_time IS NULL OR stop_time > now())
    AND ($5::text IS NULL OR source = $5)
  UNION
  SELECT source, job_id FROM kw.jobs_visible
  WHERE name_id = $4::text AND stopped IS NULL AND ($5::text IS NULL OR source = $5)
), devices AS (
  SELECT CASE WHEN EXISTS (SELECT FROM kw.catalogue_visible c WHERE c.device_id = given OR c.alias = given)
    THEN given ELSE short END AS device
  FROM unnest($1::text[], $2::text[]) AS d (given, short)
  UNION
  SELECT n.node FROM kw.local_nodetime_visible n JOIN jobs USING (source, job_id)
  WHERE n.start_time <= now() AND (n.stop_time IS NULL OR n.stop_time > now())
), named AS (
  -- Of an optional page its entry is enabled, not one of the metrics on it.
  SELECT c.device_id, c.alias, o.optional,
    CASE WHEN o.optional THEN coalesce(c.entry_name, c.metric_id) ELSE c.metric_id END AS metric_id
  FROM kw.catalogue_visible c
  CROSS JOIN LATERAL (SELECT c.optional OR c.optional_period_ms IS NOT NULL AS optional) o
), configured AS (
  SELECT d.device, m.metric_id, m.optional
  FROM devices d JOIN named m ON m.device_id = d.device
  UNION ALL
  SELECT d.device, m.metric_id, m.optional
  FROM devices d JOIN named m ON m.alias = d.device AND m.alias <> ''
)
SELECT
  (SELECT coalesce(jsonb_agg(jsonb_build_object('source', source, 'jobId', job_id) ORDER BY source, job_id), '[]') FROM jobs) AS jobs,
  (SELECT coalesce(jsonb_agg(device ORDER BY device), '[]') FROM devices) AS devices,
  (SELECT coalesce(jsonb_agg(jsonb_build_object('metricId', metric_id, 'optional', optional, 'devices', devices)), '[]')
    FROM (
      SELECT metric_id, bool_or(optional) AS optional, jsonb_agg(DISTINCT device) AS devices
      FROM configured GROUP BY metric_id ORDER BY metric_id
    ) metrics) AS metrics,
  EXISTS (SELECT FROM kw.catalogue_visible) AS catalogue_filled;
