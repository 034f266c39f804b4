-- The job $1 of source $2 ends, or gives back the nodes $3 (with or without domain, or as they are mapped).
SELECT kw.job_stop(
  job => $1::bigint,
  source => $2,
  stopped => coalesce($4::timestamptz, now()),
  nodes => CASE WHEN $3::text[] IS NOT NULL
    THEN $3::text[] || ARRAY(SELECT kw.told_node($2, given) FROM unnest($3::text[]) given) END
) AS ended_nodes;
