-- Whether kw_owner may use postgres_fdw, and whether the schema $1 exists.
SELECT
  EXISTS (
    SELECT FROM pg_foreign_data_wrapper w
    WHERE w.fdwname = 'postgres_fdw' AND has_foreign_data_wrapper_privilege('kw_owner', w.oid, 'USAGE')) AS usable,
  to_regnamespace(quote_ident($1)) IS NOT NULL AS schema_exists;
