-- What collectors are configured to read. $1 devices and aliases or null for all.
SELECT device_id, alias, metric_id, min(period_ms) AS period_ms, bool_and(optional) AS optional,
       min(optional_period_ms) AS optional_period_ms, min(protocol) AS protocol, min(unit) AS unit,
       min(description) AS description, min(coalesce(entry_name, metric_id)) AS entry_name
FROM kw.catalogue_visible
WHERE $1::text[] IS NULL OR device_id = ANY ($1) OR (alias <> '' AND alias = ANY ($1))
GROUP BY device_id, alias, metric_id
