-- Names that somebody may have meant: devices, aliases, nodes of jobs; metrics.
SELECT 'device' AS kind, device_id AS name FROM kw.catalogue_visible
UNION SELECT 'device', alias FROM kw.catalogue_visible WHERE alias <> ''
UNION SELECT 'device', node FROM kw.local_nodetime_visible
UNION SELECT 'metric', metric_id FROM kw.catalogue_visible
