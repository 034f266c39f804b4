-- sql/grafana/cluster_metrics.sql
-- What is configured on the site: power first.
SELECT metric_id FROM kw.catalogue_visible
GROUP BY metric_id
ORDER BY right(metric_id, 5) <> '_watt', count(*) DESC, metric_id
