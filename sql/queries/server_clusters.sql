-- Nodes that are configured, by cluster: `taurus-1` is of `taurus`. $1: this cluster only, or null.
SELECT substring(name FROM '^(.*)-[0-9]+$') AS cluster, array_agg(DISTINCT name) AS nodes
FROM (
  SELECT device_id AS name FROM kw.catalogue_visible
  UNION
  SELECT alias FROM kw.catalogue_visible WHERE alias <> ''
) names
WHERE name ~ '^[a-z][a-z0-9]*-[0-9]+$' AND ($1::text IS NULL OR name LIKE replace($1, '_', '\_') || '-%')
GROUP BY 1
ORDER BY 1
