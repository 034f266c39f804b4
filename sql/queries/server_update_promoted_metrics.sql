-- What is enabled now; as JSON text.
SELECT coalesce(json_agg(r), '[]')::text AS answer FROM api.update_promoted_metrics() r
