-- Takes back the pattern $2 (or any) on the devices $1, for the job $3 of source $4, or everything of one's own.
-- $5: the devices' names cut at the first dot, which may be meant as well.
SELECT kw.disable_metrics(devices => $1::text[] || $5::text[], pattern => $2, job => $3::bigint, source => $4) AS gone;
