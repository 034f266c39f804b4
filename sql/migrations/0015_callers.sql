-- Who calls. A login in psql is itself, whatever role it set. The HTTP API has one login for everybody, and alone is
-- believed when it says who sent the request: claims in the setting request.jwt.claims, as PostgREST and kw serve
-- set them. Anybody may set that setting; for other logins it is as if it were not there.

INSERT INTO kw.settings (name, value, description) VALUES
  ('api_login', '"kw_api"', 'the login of the HTTP API, which alone is believed who its callers are'),
  ('site', 'null', 'name of this site; a token for another site is refused'),
  ('read_scope', '"all"', 'what users see: all, or own_jobs (the nodes of their own jobs, while they had them)'),
  ('anonymous_read', 'false', 'whether the HTTP API shows metrics to callers who do not say who they are');

GRANT USAGE ON SCHEMA kw TO kw_anon, kw_api;
GRANT SELECT ON kw.settings, kw.migrations TO kw_anon, kw_api;

-- Whether this connection is that of the HTTP API. SECURITY DEFINER, as the functions below are checked wherever they
-- are called from, also by roles that may read nothing.
CREATE FUNCTION kw.is_api() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN coalesce(session_user = (SELECT s.value #>> '{}' FROM kw.settings s WHERE s.name = 'api_login'), false);

-- What the token of the caller says ({} without one): sub (name), role, devices, metrics, site.
CREATE FUNCTION kw.caller_claims() RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
RETURN CASE WHEN kw.is_api()
  THEN coalesce(nullif(current_setting('request.jwt.claims', true), '')::jsonb, '{}')
  ELSE '{}'
END;

-- The name of the caller; NULL if nobody said who it is. The owner of jobs, of what is pushed and enabled.
CREATE FUNCTION kw.caller_name() RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
RETURN CASE WHEN kw.is_api() THEN nullif(kw.caller_claims() ->> 'sub', '') ELSE session_user::text END;

-- The role whose memberships count: of the HTTP API the role of the request (NULL before it has taken one), else the
-- login. The setting `role` is what SET ROLE set, inside of SECURITY DEFINER functions too.
CREATE FUNCTION kw.caller_role() RETURNS name
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
RETURN CASE WHEN kw.is_api() THEN nullif(current_setting('role'), 'none')::name ELSE session_user END;

CREATE OR REPLACE FUNCTION kw.is_scheduler() RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
RETURN coalesce(pg_has_role(kw.caller_role(), 'kw_scheduler', 'USAGE'), false);

-- Whether the rules that the site sets for users do not hold for the caller.
CREATE FUNCTION kw.is_service() RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
RETURN coalesce(pg_has_role(kw.caller_role(), 'kw_service', 'USAGE'), false);

REVOKE ALL ON FUNCTION kw.is_api, kw.caller_claims, kw.caller_name, kw.caller_role, kw.is_service FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kw.is_api, kw.caller_claims, kw.caller_name, kw.caller_role, kw.is_scheduler, kw.is_service
  TO kw_anon, kw_reader, kw_writer, kw_scheduler, kw_collector;

-- What the caller may see of kw.metrics and kw.metrics_summary. Everything that reads for users reads these.
CREATE VIEW kw.metrics_visible AS
SELECT timestamp, device_id, metric_id, value, labels, labels ->> '_device_alias' AS device_alias
FROM kw.metrics;
CREATE VIEW kw.summary_visible AS
SELECT bucket, device_id, metric_id, labels, value, min, max, count, count_not_finite, device_alias
FROM kw.metrics_summary;
GRANT SELECT ON kw.metrics_visible, kw.summary_visible TO kw_reader, kw_writer;
GRANT USAGE ON SCHEMA api TO kw_anon, kw_scheduler;
