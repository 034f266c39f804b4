-- Makes what kw knows of jobs of source $1 what $2 says, which was asked for at $3: see kw.sync_job.
SELECT job_id, change, nodes, problem FROM kw.sync_jobs($1, $2::jsonb, $3::timestamptz);
