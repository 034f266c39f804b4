-- Where jobs come from: schedulers that are read, and those that tell kw of their jobs (kw job start).
SELECT s.name, s.kind, s.state, s.running_jobs, s.settings ->> 'database' AS database, s.settings ->> 'view' AS site_view,
  (extract(epoch FROM s.checked_at) * 1e6)::bigint AS checked_us,
  (extract(epoch FROM s.last_good_at) * 1e6)::bigint AS good_us,
  CASE WHEN s.state <> 'ok' THEN s.last_error END AS problem, s.took_ms,
  s.attempted_at > coalesce(s.checked_at, '-infinity') AND s.attempted_at < now() - interval '4 seconds' AS hangs,
  s.checked_at IS NULL OR s.checked_at < now() - interval '30 seconds' AS unwatched
FROM kw.job_sources s
UNION ALL
SELECT n.source, 'kw', 'ok', count(DISTINCT n.job_id)::int, NULL, NULL, NULL, NULL, NULL, NULL, false, false
FROM kw.local_nodetime_visible n
WHERE n.stop_time IS NULL AND NOT EXISTS (SELECT FROM kw.job_sources s WHERE s.name = n.source)
GROUP BY n.source
ORDER BY name;
