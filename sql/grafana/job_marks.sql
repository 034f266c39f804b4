-- sql/grafana/job_marks.sql
-- Begin and end of the job, marked in its charts.
SELECT min(start_time) AS time,
  CASE WHEN bool_and(stop_time IS NOT NULL) THEN max(stop_time) END AS timeend,
  'job ' || job_id || ' of ' || max(owner) AS text, source AS tags
FROM kw.job_nodetimes(
  CASE WHEN ${job:sqlstring} ~ '^(.+/)?[0-9]{1,18}$' THEN regexp_replace(${job:sqlstring}, '^.+/', '')::bigint END,
  substring(${job:sqlstring} from '^(.+)/[0-9]+$'))
WHERE node IS NOT NULL
GROUP BY source, job_id
