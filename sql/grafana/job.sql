-- sql/grafana/job.sql
-- The nodes of the job, and when it had them.
SELECT node, owner, state, source, job_id, start_time, stop_time FROM kw.nodetime_by_job
WHERE job_id = CASE WHEN ${job:sqlstring} ~ '^(.+/)?[0-9]{1,18}$'
                 THEN regexp_replace(${job:sqlstring}, '^.+/', '')::bigint END
  AND (strpos(${job:sqlstring}, '/') = 0 OR source = regexp_replace(${job:sqlstring}, '/[0-9]+$', ''))
ORDER BY node, start_time
