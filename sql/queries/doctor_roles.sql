-- What kw db doctor asks about roles: which are missing, how kw_owner is, what this login may do.
SELECT
  ARRAY(
    SELECT w FROM unnest(ARRAY[
      'kw_owner', 'kw_reader', 'kw_writer', 'kw_scheduler', 'kw_collector', 'kw_service', 'kw_admin', 'kw_anon', 'kw_api'
    ]) w
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = w)) AS missing,
  coalesce((SELECT rolsuper FROM pg_roles WHERE rolname = 'kw_owner'), false) AS owner_super,
  coalesce((SELECT rolcanlogin FROM pg_roles WHERE rolname = 'kw_owner'), false) AS owner_login,
  coalesce((SELECT rolconnlimit FROM pg_roles WHERE rolname = 'kw_owner'), 0) AS owner_limit,
  ARRAY(
    SELECT c.oid::regclass::text FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner
    WHERE c.relnamespace = 'kw'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND r.rolname <> 'kw_owner'
      AND c.relname <> 'nodetime_by_job'
    ORDER BY 1) AS foreign_owned,
  ARRAY(
    SELECT rolname::text FROM pg_roles
    WHERE rolname IN ('kw_reader', 'kw_writer', 'kw_scheduler', 'kw_collector', 'kw_service', 'kw_admin')
      AND pg_has_role(session_user, oid, 'USAGE')
    ORDER BY 1) AS mine,
  quote_ident(session_user) AS login,
  EXISTS (
    SELECT FROM pg_namespace n, aclexplode(n.nspacl) a
    WHERE n.nspname = 'kw' AND a.grantee = 0 AND a.privilege_type = 'CREATE') AS schema_open
