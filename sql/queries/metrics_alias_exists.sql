-- Whether any row carries one of these names as its alias. $1 names, $2 and $3 bounds.
SELECT EXISTS (
  SELECT FROM kw.metrics_visible
  WHERE device_alias = ANY ($1::text[])
    AND timestamp >= $2::timestamptz AND timestamp <= $3::timestamptz
) AS exists
