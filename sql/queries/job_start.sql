-- A job $1 of source $2 begins on the nodes $3, or $4 (the same, cut at the first dot) where no device has the
-- full name. $5 owner or null; $6 owner of a new job that a scheduler starts without naming one.
SELECT kw.job_start(
  job => $1::bigint,
  source => $2,
  nodes => ARRAY(
    SELECT CASE WHEN EXISTS (SELECT FROM kw.catalogue_visible c WHERE c.device_id = given OR c.alias = given)
      THEN given ELSE short END
    FROM unnest($3::text[], $4::text[]) AS n (given, short)),
  owner => coalesce($5, CASE
    WHEN kw.is_scheduler()
      AND NOT EXISTS (SELECT FROM kw.jobs_visible WHERE job_id = $1::bigint AND source = $2) THEN $6 END),
  started => coalesce($7::timestamptz, now()),
  name_id => $8,
  comment => $9
) AS new_nodes;
