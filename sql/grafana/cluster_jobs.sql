-- sql/grafana/cluster_jobs.sql
-- Jobs that run now, as far as kw has seen them.
SELECT j.source || '/' || j.job_id AS job, j.owner, j.started, n.nodes
FROM kw.jobs_visible j
CROSS JOIN LATERAL (
  SELECT count(DISTINCT node) AS nodes FROM kw.local_nodetime_visible n
  WHERE n.source = j.source AND n.job_id = j.job_id AND n.stop_time IS NULL
) n
WHERE j.stopped IS NULL AND n.nodes > 0
ORDER BY j.started DESC
LIMIT 500
