-- The jobs that a reference may mean. $1 number or null, $2 array element such as 1234_7 or null, $3 source or null.
-- Jobs that kw was told of, and those that only a site's own view knows.
WITH known AS (
  SELECT source, job_id, name_id, owner, state, comment, submitted, started, stopped
  FROM kw.jobs_visible
  WHERE ($1::bigint IS NULL OR job_id = $1)
    AND ($2::text IS NULL OR name_id = $2)
    AND ($3::text IS NULL OR source = $3)
), in_view AS (
  SELECT source, job_id, job_id::text AS name_id, max(owner) AS owner, max(state) AS state, NULL AS comment,
    NULL::timestamptz AS submitted, min(start_time) AS started,
    CASE WHEN bool_and(stop_time IS NOT NULL) THEN max(stop_time) END AS stopped
  FROM kw.nodetime_visible
  WHERE job_id = $1 AND $2::text IS NULL AND ($3::text IS NULL OR source = $3)
  GROUP BY source, job_id
)
SELECT source, job_id, name_id, owner, state, comment,
  (extract(epoch FROM submitted) * 1e6)::bigint AS submitted_us,
  (extract(epoch FROM started) * 1e6)::bigint AS started_us,
  (extract(epoch FROM stopped) * 1e6)::bigint AS stopped_us
FROM (
  SELECT * FROM known
  UNION ALL
  SELECT * FROM in_view v
  WHERE NOT EXISTS (SELECT FROM known k WHERE k.source = v.source AND k.job_id = v.job_id)
) jobs
ORDER BY source, job_id;
