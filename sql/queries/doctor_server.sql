-- What kw db doctor asks about the server and this connection. Works without a schema of kw.
SELECT
  current_setting('server_version') AS version,
  (SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database()) AS encoding,
  current_setting('synchronous_commit') AS synchronous_commit,
  current_setting('fsync') AS fsync,
  current_setting('full_page_writes') AS full_page_writes,
  (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()) AS encrypted,
  inet_server_addr() IS NULL OR host(inet_server_addr()) IN ('127.0.0.1', '::1') AS local,
  quote_ident(current_database()) AS database,
  CASE
    -- Without that right the name cannot be looked up either.
    WHEN NOT coalesce((SELECT has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = 'kw'), false) THEN NULL
    WHEN to_regclass('kw.metrics') IS NOT NULL THEN coalesce(to_regclass('metrics') = to_regclass('kw.metrics'), false) END AS search_path_finds,
  current_setting('search_path') AS search_path
