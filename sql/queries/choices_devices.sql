-- Devices, aliases, nodes of jobs and devices that users pushed for in the last 90 days, whose name has a text: those that begin with it first.
-- $1 pattern for ILIKE, $2 the same for the beginning, $3 how many.
SELECT name
FROM (
  SELECT device_id AS name FROM kw.catalogue_visible
  UNION SELECT alias FROM kw.catalogue_visible WHERE alias <> ''
  UNION SELECT node FROM kw.local_nodetime_visible
  UNION SELECT device_id FROM kw.pushed_devices_visible WHERE pushed_on > current_date - 90
) names
WHERE name ILIKE $1
ORDER BY name NOT ILIKE $2, name COLLATE "C"
LIMIT $3
