-- When a job had which nodes; a stop that is null is still to come. $1 source, $2 job, $3 whether that source cannot be
-- asked now: then what was seen of the job here.
SELECT node, (extract(epoch FROM start_time) * 1e6)::bigint AS start_us,
       (extract(epoch FROM stop_time) * 1e6)::bigint AS stop_us
FROM (
  SELECT node, start_time, stop_time FROM kw.job_nodetimes($2, $1) WHERE NOT $3 AND problem IS NULL
  UNION ALL
  SELECT node, start_time, stop_time FROM kw.local_nodetime_visible WHERE $3 AND source = $1 AND job_id = $2
) n
ORDER BY start_time, node;
