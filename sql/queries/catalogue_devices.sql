-- The names under which devices can be asked for.
SELECT DISTINCT device_id AS device FROM kw.catalogue_visible
UNION
SELECT DISTINCT alias FROM kw.catalogue_visible WHERE alias <> ''
ORDER BY device;
