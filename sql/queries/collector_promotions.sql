-- The promotions in force. expires_us: microseconds since the epoch.
SELECT device_id, metric_id AS pattern, extract(epoch FROM expires_at) * 1e6 AS expires_us
FROM kw.promoted_metrics
WHERE expires_at IS NULL OR expires_at > now()
