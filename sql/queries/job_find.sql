-- The jobs that a reference may mean. $1 number or null, $2 array element such as 1234_7 or null, $3 source or null,
-- $4 whether schedulers may be asked, or what is known here is enough.
-- stays: when the job had which nodes, where a scheduler was asked.
-- What a scheduler says goes before what was seen of it here; one that cannot be asked is a row without a job. Slurm
-- tells kw itself: that it could not be asked matters for jobs that run as far as kw knows, and those that it does not know.
WITH told AS (
  SELECT source, job_id, name_id, owner, state, comment, started, stopped
  FROM kw.jobs_visible
  WHERE ($1::bigint IS NULL OR job_id = $1)
    AND ($2::text IS NULL OR name_id = $2)
    AND ($3::text IS NULL OR source = $3)
), nodetimes AS (
  SELECT * FROM kw.job_nodetimes($1, $3) WHERE $4 AND $1 IS NOT NULL AND $2::text IS NULL
), asked AS (
  SELECT source, job_id, max(owner) AS owner, max(state) AS state, min(start_time) AS started,
    CASE WHEN bool_and(stop_time IS NOT NULL) THEN max(stop_time) END AS stopped,
    jsonb_agg(jsonb_build_array(node, (extract(epoch FROM start_time) * 1e6)::bigint,
      (extract(epoch FROM stop_time) * 1e6)::bigint)) AS stays
  FROM nodetimes WHERE problem IS NULL
  GROUP BY source, job_id
), problems AS (
  SELECT n.source, n.problem, s.last_good_at
  FROM nodetimes n JOIN kw.job_sources s ON s.name = n.source WHERE n.problem IS NOT NULL
  UNION ALL
  SELECT s.name, coalesce(s.last_error, s.state), s.last_good_at
  FROM kw.job_sources s
  WHERE $4 AND s.kind = 'slurm' AND s.state NOT IN ('ok', 'new') AND s.name = coalesce($3, s.name)
    AND NOT EXISTS (SELECT FROM told t WHERE t.source = s.name AND t.stopped IS NOT NULL)
)
SELECT source, jobs.job_id, name_id, owner, state, comment,
  (extract(epoch FROM started) * 1e6)::bigint AS started_us,
  (extract(epoch FROM stopped) * 1e6)::bigint AS stopped_us,
  p.problem, (extract(epoch FROM p.last_good_at) * 1e6)::bigint AS good_us, stays
FROM (
  SELECT t.source, t.job_id, t.name_id, t.owner, t.state, t.comment, t.started, t.stopped, a.stays
  FROM told t LEFT JOIN asked a USING (source, job_id)
  WHERE NOT EXISTS (SELECT FROM kw.job_sources s WHERE s.name = t.source AND s.kind IN ('oar', 'view'))
    OR $2 IS NOT NULL OR NOT $4
  UNION ALL
  SELECT a.source, a.job_id, coalesce(t.name_id, a.job_id::text), a.owner, a.state, t.comment, a.started, a.stopped, a.stays
  FROM asked a LEFT JOIN told t USING (source, job_id)
  WHERE t.job_id IS NULL OR EXISTS (SELECT FROM kw.job_sources s WHERE s.name = a.source AND s.kind IN ('oar', 'view'))
) jobs
FULL JOIN problems p USING (source)
ORDER BY source, jobs.job_id;
