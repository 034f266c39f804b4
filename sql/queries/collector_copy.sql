COPY kw.metrics ("timestamp", value, device_id, metric_id, labels) FROM STDIN (FORMAT binary)
