-- Jobs, the last started first. $1 whether the finished ones too, $2 owner or null, $3 how many.
SELECT n.source, n.job_id, coalesce(j.name_id, n.job_id::text) AS name_id, n.owner, n.state, j.comment,
  (extract(epoch FROM n.started) * 1e6)::bigint AS started_us,
  (extract(epoch FROM n.stopped) * 1e6)::bigint AS stopped_us,
  n.nodes
FROM (
  SELECT source, job_id, max(owner) AS owner, max(state) AS state, min(start_time) AS started,
    CASE WHEN bool_and(stop_time IS NOT NULL) THEN max(stop_time) END AS stopped,
    array_agg(DISTINCT node) AS nodes
  FROM kw.nodetime_visible
  WHERE ($1 OR (source, job_id) IN (SELECT source, job_id FROM kw.nodetime_visible WHERE stop_time IS NULL))
    AND ($2::text IS NULL OR owner = $2)
  GROUP BY source, job_id
  ORDER BY min(start_time) DESC, job_id DESC, source
  LIMIT $3
) n
LEFT JOIN kw.jobs_visible j USING (source, job_id)
ORDER BY n.started DESC, n.job_id DESC, n.source;
