-- The roles of kw. They belong to the whole cluster and may serve several databases in it; this file can be
-- run as often as needed, by a superuser or by a login with CREATEROLE. `kw db migrate` runs it; before a
-- restore into a new cluster run it by hand: psql -f sql/roles.sql.
--
--   kw_owner      owns every table and function of kw; nobody can connect as it
--   kw_reader     reads all metrics, jobs and states
--   kw_writer     pushes values, enables optional metrics on the nodes of its own jobs
--   kw_scheduler  starts and stops the jobs of everybody, enables metrics for them: for prologs and epilogs
--   kw_collector  stores metrics and its own state; reads no metrics and deletes none
--   kw_service    beside kw_reader or kw_writer: a program of the site, for which the rules that the site sets for
--                 users do not hold (it reads all, and pushes for any device)
--   kw_admin      all of these, and the owner's rights
--   kw_anon       whoever calls the HTTP API without saying who they are; may do what the site allows them
--   kw_api        the login of the HTTP API (kw serve, PostgREST): has no right but to become one of the others for a
--                 request. It alone is believed who its callers are. No password: give it one, or let it in by peer
DO $$
DECLARE
  wanted text;
  pair text[];
BEGIN
  FOREACH wanted IN ARRAY ARRAY[
    'kw_owner', 'kw_reader', 'kw_writer', 'kw_scheduler', 'kw_collector', 'kw_service', 'kw_admin', 'kw_anon', 'kw_api'
  ] LOOP
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = wanted) THEN
      BEGIN
        EXECUTE format('CREATE ROLE %I %s NOSUPERUSER NOCREATEDB NOCREATEROLE', wanted,
          CASE WHEN wanted = 'kw_api' THEN 'LOGIN NOINHERIT' ELSE 'NOLOGIN' END);
      EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL; -- another database of this cluster is being migrated at the same moment
      END;
    END IF;
  END LOOP;

  FOREACH pair SLICE 1 IN ARRAY ARRAY[
    ['kw_owner', 'kw_admin'], ['kw_reader', 'kw_admin'], ['kw_writer', 'kw_admin'],
    ['kw_scheduler', 'kw_admin'], ['kw_collector', 'kw_admin'], ['kw_service', 'kw_admin'],
    ['kw_anon', 'kw_api'], ['kw_reader', 'kw_api'], ['kw_writer', 'kw_api'], ['kw_scheduler', 'kw_api'], ['kw_admin', 'kw_api']
  ] LOOP
    IF NOT EXISTS (
      SELECT FROM pg_catalog.pg_auth_members
      WHERE roleid = pair[1]::regrole AND member = pair[2]::regrole
    ) THEN
      BEGIN
        EXECUTE format('GRANT %I TO %I', pair[1], pair[2]);
      EXCEPTION WHEN unique_violation OR internal_error THEN
        NULL; -- the same again ("tuple concurrently updated")
      END;
    END IF;
  END LOOP;

  -- What kw_owner shall own is made by SET ROLE; a superuser may do that anyway.
  IF NOT pg_catalog.pg_has_role(current_user, 'kw_owner', 'MEMBER') THEN
    EXECUTE format('GRANT kw_owner TO %I', current_user);
  END IF;
END
$$;
