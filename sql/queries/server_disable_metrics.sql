-- $1 pattern, $2 job, $3 nodes, $4 devices, $5 source; how many there were.
SELECT to_json(api.disable_metrics(metrics => $1, job_id => $2, nodes => $3, devices => $4, source => $5))::text AS answer
