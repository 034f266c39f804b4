-- $1 the end of the minute, $2 params; as JSON text.
SELECT coalesce(json_agg(r), '[]')::text AS answer FROM api.available_metrics("at" => $1, params => $2) r
