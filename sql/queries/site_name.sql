-- The name of this site, or null.
SELECT value #>> '{}' AS site FROM kw.settings WHERE name = 'site';
