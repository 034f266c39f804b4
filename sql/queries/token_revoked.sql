-- Ids of the tokens that were revoked, and the name of this site: for the login of the HTTP API.
SELECT array(SELECT kw.revoked_tokens()) AS revoked,
  (SELECT value #>> '{}' FROM kw.settings WHERE name = 'site') AS site;
