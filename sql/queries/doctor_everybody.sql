-- What everybody may do that only some should: docs/production.md tells why.
SELECT
  EXISTS (
    SELECT FROM pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
    WHERE n.nspname = 'public' AND a.grantee = 0 AND a.privilege_type = 'CREATE') AS public_open,
  (SELECT p.oid::regproc::text
   FROM pg_proc p
   JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
   JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid
   WHERE e.extname = 'timescaledb' AND p.proname = 'add_job' AND EXISTS (
     SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
     WHERE a.grantee = 0 AND a.privilege_type = 'EXECUTE')
   LIMIT 1) AS add_job_open,
  -- Functions that make large objects; lo_import, which reads files of the server, is the superuser's anyway.
  ARRAY(
    SELECT p.oid::regprocedure::text
    FROM pg_proc p
    WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname IN ('lo_creat', 'lo_create', 'lo_from_bytea')
      AND EXISTS (
        SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
        WHERE a.grantee = 0 AND a.privilege_type = 'EXECUTE')
    ORDER BY 1) AS large_objects_open,
  (SELECT count(*) FROM pg_largeobject_metadata)::float8 AS large_objects,
  pg_total_relation_size('pg_catalog.pg_largeobject')::float8 AS large_object_bytes,
  ARRAY(SELECT DISTINCT lomowner::regrole::text FROM pg_largeobject_metadata ORDER BY 1 LIMIT 6) AS large_object_owners
