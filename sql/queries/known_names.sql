-- Names that somebody may have meant: devices, aliases, nodes of jobs; metrics.
SELECT 'device' AS kind, device_id AS name FROM kw.metric_catalogue
UNION SELECT 'device', alias FROM kw.metric_catalogue WHERE alias <> ''
UNION SELECT 'device', node FROM kw.job_nodes
UNION SELECT 'metric', metric_id FROM kw.metric_catalogue
