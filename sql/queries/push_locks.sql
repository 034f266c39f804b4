-- How many locks this transaction holds, and for how many the server has room, all transactions together.
SELECT
  (SELECT count(*)::int FROM pg_catalog.pg_locks WHERE pid = pg_catalog.pg_backend_pid()) AS held,
  current_setting('max_locks_per_transaction')::int
    * (current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int) AS room
