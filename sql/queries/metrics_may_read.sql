-- Refused where the caller may see no metrics at all; gives nothing.
SELECT FROM kw.metrics_visible LIMIT 0
