-- The configured entry that a metric comes from, where that has another name: the entry of a Prometheus page gives
-- all metrics on it, and is what kw enable enables. Null: the metric's own name.
ALTER TABLE kw.metric_catalogue ADD COLUMN entry_name text;
