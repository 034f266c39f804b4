-- Which of these names are devices, exactly as written: configured, or with rows in a time. $1 names, $2, $3 bounds.
SELECT name FROM unnest($1::text[]) AS name
WHERE EXISTS (SELECT FROM kw.catalogue_visible c WHERE c.device_id = name OR (c.alias = name AND c.alias <> ''))
  OR EXISTS (SELECT FROM kw.metrics_visible m WHERE m.device_id = name
             AND m.timestamp >= $2::timestamptz AND m.timestamp <= $3::timestamptz)
