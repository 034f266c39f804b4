-- $1 pattern, $2 job, $3 nodes, $4 devices, $5 source, $6 seconds; as JSON text.
SELECT coalesce(json_agg(r), '[]')::text AS answer
FROM api.enable_metrics(metrics => $1, job_id => $2, nodes => $3, devices => $4, source => $5, seconds => $6) r
