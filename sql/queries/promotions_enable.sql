-- Enables the pattern $2 on the devices $1 or, where these are null, on the nodes of the job $3 of source $4,
-- for $5 seconds or as long as is usual.
SELECT count(*)::int AS devices,
  (extract(epoch FROM now() + coalesce(
    make_interval(secs => $5::float8),
    CASE WHEN $3::bigint IS NULL THEN kw.setting_interval('promotion_without_end') END)) * 1e6)::bigint AS expires_us
FROM kw.enable_metrics(devices => $1::text[], pattern => $2, job => $3::bigint, source => $4, seconds => $5::float8);
