-- The names under which devices can be asked for.
SELECT DISTINCT device_id AS device FROM kw.metric_catalogue
UNION
SELECT DISTINCT alias FROM kw.metric_catalogue WHERE alias <> ''
ORDER BY device;
