-- Ends connections that this collector lost and the server still holds: their transactions would keep the row of
-- the ledger locked, or commit late.
SELECT pg_terminate_backend(pid, 5000)
FROM pg_catalog.pg_stat_activity
WHERE application_name = $1 AND usename = session_user AND datname = current_database() AND pid <> pg_backend_pid()
