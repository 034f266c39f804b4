-- A job $1 of source $2 begins on the nodes $3, by the names of their devices. $4 owner or null; $5 owner of a new job
-- that a scheduler starts without naming one.
SELECT kw.job_start(
  job => $1::bigint,
  source => $2,
  nodes => ARRAY(SELECT kw.told_node($2, given) FROM unnest($3::text[]) given),
  owner => coalesce($4, CASE
    WHEN kw.is_scheduler()
      AND NOT EXISTS (SELECT FROM kw.jobs_visible WHERE job_id = $1::bigint AND source = $2) THEN $5 END),
  started => coalesce($6::timestamptz, now()),
  name_id => $7,
  comment => $8
) AS new_nodes;
