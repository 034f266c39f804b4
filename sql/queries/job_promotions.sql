-- Brings what the job $2 of source $1 asked for itself in line with the patterns $3.
SELECT kw.sync_job_promotions($1, $2::bigint, $3::text[]);
