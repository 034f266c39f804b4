-- TimescaleDB runs the background jobs of a hypertable (compression, refresh of the summary) as its owner, and
-- refuses owners without LOGIN. So kw_owner may log in, but never over a connection: the limit is 0, which
-- does not count background workers, and there is no password.
DO $$
BEGIN
  IF EXISTS (
    SELECT FROM pg_catalog.pg_roles WHERE rolname = 'kw_owner' AND (NOT rolcanlogin OR rolconnlimit <> 0)
  ) THEN
    ALTER ROLE kw_owner LOGIN CONNECTION LIMIT 0 PASSWORD NULL;
  END IF;
END
$$;
