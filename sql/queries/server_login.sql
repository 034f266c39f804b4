-- As whom a connection of kw serve logged in, and as whom it should.
SELECT session_user AS login, r.rolsuper AS superuser,
       (SELECT s.value #>> '{}' FROM kw.settings s WHERE s.name = 'api_login') AS api_login
FROM pg_catalog.pg_roles r WHERE r.rolname = session_user
