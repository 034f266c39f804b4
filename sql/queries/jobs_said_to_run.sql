-- The jobs of source $1 that run as far as kw knows, and did at $2.
SELECT job_id FROM kw.jobs_said_to_run($1, $2::timestamptz) AS job_id;
