-- Asks the source $1 for its running jobs, unless somebody has done so within $2; how it is now.
SELECT kw.try_source($1, $2::interval) AS state,
  (SELECT s.last_error FROM kw.job_sources s WHERE s.name = $1) AS last_error
