-- Changes settings: $1 names, $2 values as JSON. A trigger makes views and rights follow.
UPDATE kw.settings s SET value = w.value::jsonb
FROM unnest($1::text[], $2::text[]) AS w (name, value)
WHERE s.name = w.name AND s.value IS DISTINCT FROM w.value::jsonb
