-- A metric over all devices, as dashboards show it. The summary is small: the index costs next to nothing.
CREATE INDEX metrics_summary_metric_bucket ON kw.metrics_summary (metric_id, bucket);
