-- A metric over all devices, as dashboards show it. The summary is small: the index costs next to nothing.
CREATE INDEX summary_stored_metric_bucket ON kw.summary_stored (metric_id, bucket);
