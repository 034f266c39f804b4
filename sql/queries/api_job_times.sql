-- When a job had which nodes; a stop that is null is still to come. $1 job, of whichever source. A
-- source that cannot be asked is a row without a node; what kw saw of the job itself takes its place. Who may see no metrics
-- at all is not told which jobs there are: naming the view asks for the right to it.
SELECT node, (extract(epoch FROM start_time) * 1e6)::bigint AS start_us,
       (extract(epoch FROM stop_time) * 1e6)::bigint AS stop_us, source, problem
FROM kw.job_nodetimes($1::bigint)
WHERE NOT EXISTS (SELECT FROM kw.metrics_visible WHERE false)
