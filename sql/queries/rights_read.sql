-- Who sees what, and the login of the HTTP API.
SELECT
  max(value #>> '{}') FILTER (WHERE name = 'read_scope') AS read_scope,
  bool_or(value = 'true') FILTER (WHERE name = 'anonymous_read') AS anonymous_read,
  max(value #>> '{}') FILTER (WHERE name = 'site') AS site,
  max(value #>> '{}') FILTER (WHERE name = 'api_login') AS api_login,
  ARRAY(SELECT problem FROM kw.rights_problems() AS problem) AS problems
FROM kw.settings
