-- Devices, aliases and nodes of jobs whose name has a text: those that begin with it first. $1 pattern for ILIKE, $2 the
-- same for the beginning, $3 how many.
SELECT name
FROM (
  SELECT device_id AS name FROM kw.catalogue_visible
  UNION SELECT alias FROM kw.catalogue_visible WHERE alias <> ''
  UNION SELECT node FROM kw.local_nodetime_visible
) names
WHERE name ILIKE $1
ORDER BY name NOT ILIKE $2, name COLLATE "C"
LIMIT $3
