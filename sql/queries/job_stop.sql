-- The job $1 of source $2 ends, or gives back the nodes $3 (with or without domain).
SELECT kw.job_stop(
  job => $1::bigint,
  source => $2,
  stopped => coalesce($4::timestamptz, now()),
  nodes => $3::text[]
) AS ended_nodes;
