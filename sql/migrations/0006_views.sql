-- Metrics as a device or a job sees them, by Kwollect's rules.

-- A device sees its own rows and, under its name, the rows that carry it as `_device_alias`. Values of several
-- origins with the same alias, metric, timestamp and labels are summed (two outlets power one node);
-- `_device_orig` lists the origins.
CREATE VIEW kw.metrics_by_device AS
SELECT timestamp, device_id, metric_id, value, labels - '_device_alias' AS labels
FROM kw.metrics
UNION ALL
SELECT timestamp, labels ->> '_device_alias' AS device_id, metric_id, sum(value) AS value,
  (labels - '_device_alias') || jsonb_build_object('_device_orig', array_agg(device_id ORDER BY device_id)) AS labels
FROM kw.metrics
WHERE labels ->> '_device_alias' IS NOT NULL
GROUP BY timestamp, metric_id, labels;

-- The same within the nodes and times of jobs, bounds included. Written out, since a join does not reach
-- through the GROUP BY of the other view.
CREATE VIEW kw.metrics_by_job AS
SELECT m.timestamp, m.device_id, m.metric_id, m.value, m.labels, j.start_time, j.stop_time, j.job_id, j.source
FROM kw.nodetime_by_job j
CROSS JOIN LATERAL (
  SELECT timestamp, device_id, metric_id, value, labels - '_device_alias' AS labels
  FROM kw.metrics
  WHERE device_id = j.node
    AND timestamp >= j.start_time AND timestamp <= coalesce(j.stop_time, 'infinity')
  UNION ALL
  SELECT timestamp, j.node, metric_id, sum(value),
    (labels - '_device_alias') || jsonb_build_object('_device_orig', array_agg(device_id ORDER BY device_id))
  FROM kw.metrics
  WHERE labels ->> '_device_alias' = j.node
    AND timestamp >= j.start_time AND timestamp <= coalesce(j.stop_time, 'infinity')
  GROUP BY timestamp, metric_id, labels
) m;

-- The summary of a device. Of several origins the means are summed; so are minima and maxima, which need not
-- have met in time: then they are bounds.
CREATE VIEW kw.metrics_summary_by_device AS
SELECT bucket, device_id, metric_id, labels - '_device_alias' AS labels, value, min, max, count, count_not_finite
FROM kw.metrics_summary
UNION ALL
SELECT bucket, device_alias AS device_id, metric_id,
  (labels - '_device_alias') || jsonb_build_object('_device_orig', array_agg(device_id ORDER BY device_id)) AS labels,
  sum(value) AS value, sum(min) AS min, sum(max) AS max, sum(count)::bigint AS count,
  sum(count_not_finite)::bigint AS count_not_finite
FROM kw.metrics_summary
WHERE device_alias IS NOT NULL
GROUP BY bucket, device_alias, metric_id, labels;

GRANT SELECT ON kw.metrics_by_device, kw.metrics_by_job, kw.metrics_summary_by_device TO kw_reader;
