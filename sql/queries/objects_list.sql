-- The functions, views, indexes and triggers of the schemas kw and api as they are now, in the form of kw.expected_objects.
-- Left out: what a site may replace (nodetime_by_job), what belongs to constraints or partitions, the continuous
-- aggregate, which TimescaleDB may rewrite, and views that depend on settings (kw.scoped_views, kw.rights_problems()).
SELECT 'function' AS kind, p.oid::regprocedure::text AS name, pg_get_functiondef(p.oid) AS definition,
  ARRAY(
    SELECT coalesce(r.rolname::text, '')
    FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a LEFT JOIN pg_roles r ON r.oid = a.grantee
    WHERE a.grantee <> p.proowner ORDER BY 1) AS granted_to
FROM pg_proc p
WHERE p.pronamespace IN ('kw'::regnamespace, 'api'::regnamespace) AND p.prokind IN ('f', 'p')
UNION ALL
SELECT 'view', c.oid::regclass::text,
  'CREATE OR REPLACE VIEW ' || c.oid::regclass || ' AS ' || pg_get_viewdef(c.oid),
  ARRAY(
    SELECT coalesce(r.rolname::text, '')
    FROM aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a LEFT JOIN pg_roles r ON r.oid = a.grantee
    WHERE a.grantee <> c.relowner AND a.privilege_type = 'SELECT'
      -- That depends on settings too.
      AND NOT (c.relname IN ('metrics_summary', 'nodetime_local', 'nodetime_now') AND r.rolname IN ('kw_reader', 'kw_writer'))
    ORDER BY 1)
FROM pg_class c
WHERE c.relnamespace = 'kw'::regnamespace AND c.relkind = 'v'
  AND c.relname <> 'nodetime_by_job' AND c.relname NOT LIKE '%\_visible'
  AND c.relname NOT IN ('metrics_by_device', 'metrics_by_job', 'metrics_summary_by_device')
  AND NOT (c.relname = 'metrics_summary' AND EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb'))
UNION ALL
SELECT 'index', c.oid::regclass::text,
  replace(pg_get_indexdef(c.oid), ' ON ONLY ', ' ON '), '{}'
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE c.relnamespace = 'kw'::regnamespace AND NOT c.relispartition AND i.indisvalid
  AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = c.oid)
UNION ALL
SELECT 'trigger', t.tgname || ' on ' || t.tgrelid::regclass, pg_get_triggerdef(t.oid), '{}'
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE c.relnamespace = 'kw'::regnamespace AND NOT t.tgisinternal AND t.tgparentid = 0
  AND t.tgname NOT LIKE 'ts\_%'
ORDER BY 1, 2
