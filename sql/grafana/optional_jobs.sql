-- sql/grafana/optional_jobs.sql
-- As jobs.sql, with none at first.
SELECT '' AS __value, 'none' AS __text
UNION ALL
SELECT __value, __text FROM (
  SELECT source || '/' || job_id AS __value,
    concat_ws(' ', name_id, owner, CASE WHEN stopped IS NULL THEN 'running' END, '(' || source || ')') AS __text
  FROM kw.jobs_visible
  WHERE started >= $__timeFrom()::timestamptz - interval '30 days' AND started <= $__timeTo()
    AND (stopped IS NULL OR stopped >= $__timeFrom())
  ORDER BY started DESC
  LIMIT 1000
) j
