-- Units of metrics of devices and aliases. $1 devices or null for all.
SELECT DISTINCT name, metric_id, unit
FROM kw.catalogue_visible c
CROSS JOIN LATERAL (VALUES (c.device_id), (c.alias)) AS names (name)
WHERE unit IS NOT NULL AND name <> '' AND ($1::text[] IS NULL OR name = ANY ($1))
