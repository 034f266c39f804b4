-- sql/grafana/job.sql
-- The nodes of the job, and when it had them.
SELECT node, owner, state, source, job_id, start_time, stop_time FROM kw.job_nodetimes(
  CASE WHEN ${job:sqlstring} ~ '^(.+/)?[0-9]{1,18}$' THEN regexp_replace(${job:sqlstring}, '^.+/', '')::bigint END,
  substring(${job:sqlstring} from '^(.+)/[0-9]+$'))
WHERE node IS NOT NULL
ORDER BY node, start_time
