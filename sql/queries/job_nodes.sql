-- When the job $2 of source $1 had which node.
SELECT node, (extract(epoch FROM start_time) * 1e6)::bigint AS started_us,
  (extract(epoch FROM stop_time) * 1e6)::bigint AS stopped_us
FROM kw.job_nodetimes($2, $1)
WHERE problem IS NULL
ORDER BY start_time, node;
