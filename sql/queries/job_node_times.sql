-- When a job had which nodes; a stop that is null is still to come. $1 source, $2 job.
SELECT node, (extract(epoch FROM start_time) * 1e6)::bigint AS start_us,
       (extract(epoch FROM stop_time) * 1e6)::bigint AS stop_us
FROM kw.job_nodetimes($2, $1)
WHERE problem IS NULL
