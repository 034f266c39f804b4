-- Statements may take as long as $1 from now on; how long they might before.
SELECT current_setting('statement_timeout') AS before, set_config('statement_timeout', $1, false);
