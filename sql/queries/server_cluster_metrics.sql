-- What collectors are configured to read of nodes, under their own names or as their aliases. $1 nodes.
SELECT coalesce(c.entry_name, c.metric_id) AS entry, c.metric_id, c.protocol,
  min(c.description) AS description, min(c.unit) AS unit,
  min(c.period_ms) AS period_ms, bool_and(c.optional) AS optional, min(c.optional_period_ms) AS optional_period_ms,
  array_agg(DISTINCT n.node) AS nodes
FROM kw.catalogue_visible c
CROSS JOIN LATERAL (VALUES (c.device_id), (c.alias)) n (node)
WHERE n.node = ANY ($1::text[])
GROUP BY 1, 2, 3
ORDER BY 1, 2
