-- When a job had which nodes; a stop that is null is still to come. $1 job, of whichever source.
SELECT node, (extract(epoch FROM start_time) * 1e6)::bigint AS start_us,
       (extract(epoch FROM stop_time) * 1e6)::bigint AS stop_us
FROM kw.nodetime_visible
WHERE job_id = $1
