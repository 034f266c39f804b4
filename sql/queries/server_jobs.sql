-- $1 job, $2 owner, $3 also those that ended, $4 at most; as JSON text.
SELECT coalesce(json_agg(r), '[]')::text AS answer
FROM api.jobs(job_id => $1, owner => $2, all_states => $3, max_jobs => $4) r
