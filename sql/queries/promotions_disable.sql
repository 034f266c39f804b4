-- Takes back the pattern $2 (or any) on the devices $1, for the job $3 of source $4, or everything of one's own.
-- $5: the devices' names cut at the first dot, which may be meant as well.
-- candidates: what there was before, since a statement does not see what its own functions change.
SELECT
  kw.disable_metrics(devices => $1::text[] || $5::text[], pattern => $2, job => $3::bigint, source => $4) AS gone,
  (SELECT coalesce(jsonb_agg(jsonb_build_object('id', id, 'device', device_id, 'pattern', metric_id)), '[]')
   FROM kw.promotions_visible
   WHERE ($1::text[] IS NULL OR device_id = ANY ($1::text[] || $5::text[]))
     AND ($2::text IS NULL OR metric_id = $2)
     AND ($3::bigint IS NULL OR job_id = $3 AND source = $4)) AS candidates;
