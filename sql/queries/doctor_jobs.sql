-- The jobs of TimescaleDB that kw depends on, and how they fare.
SELECT j.proc_name AS name, j.scheduled,
  coalesce(s.last_run_status = 'Failed', false) AS failed,
  coalesce(j.next_start < now() - 2 * j.schedule_interval - interval '10 minutes', false) AS overdue,
  (SELECT e.err_message FROM timescaledb_information.job_errors e
   WHERE e.job_id = j.job_id ORDER BY e.start_time DESC LIMIT 1) AS error
FROM timescaledb_information.jobs j
LEFT JOIN timescaledb_information.job_stats s USING (job_id)
WHERE (j.hypertable_schema = 'kw' AND j.hypertable_name = 'metrics') OR j.proc_schema = 'kw'
