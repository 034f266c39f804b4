-- Whether any row carries one of these names as its alias. $1 names, $2 and $3 bounds. Name by name, each to its first row:
-- for all names at once a bitmap of every such row would be made first.
SELECT EXISTS (
  SELECT FROM unnest($1::text[]) AS n (name)
  CROSS JOIN LATERAL (
    SELECT 1 FROM kw.metrics_visible m
    WHERE m.device_alias = n.name AND m.timestamp >= $2::timestamptz AND m.timestamp <= $3::timestamptz
    LIMIT 1
  ) first_row
) AS exists
