-- When the job $2 of source $1 had which node.
SELECT node, (extract(epoch FROM start_time) * 1e6)::bigint AS started_us,
  (extract(epoch FROM stop_time) * 1e6)::bigint AS stopped_us
FROM kw.nodetime_visible
WHERE source = $1 AND job_id = $2
ORDER BY start_time, node;
