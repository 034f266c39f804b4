-- Jobs, the last started first. $1 whether the finished ones too, $2 owner or null, $3 how many. A source that cannot
-- be asked is a row without a job, which comes first.
SELECT n.source, n.job_id, n.name_id, n.owner, n.state, n.comment,
  (extract(epoch FROM n.started) * 1e6)::bigint AS started_us,
  (extract(epoch FROM n.stopped) * 1e6)::bigint AS stopped_us,
  n.nodes, n.problem, (extract(epoch FROM s.last_good_at) * 1e6)::bigint AS good_us
FROM (
  SELECT * FROM kw.listed_jobs($1, $2, $3)
  UNION ALL
  SELECT name, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, coalesce(last_error, state)
  FROM kw.job_sources WHERE kind = 'slurm' AND state NOT IN ('ok', 'new')
) n
LEFT JOIN kw.job_sources s ON s.name = n.source AND n.problem IS NOT NULL
ORDER BY n.started DESC NULLS FIRST, n.job_id DESC, n.source;
