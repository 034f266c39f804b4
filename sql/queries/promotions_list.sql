-- What is enabled now.
SELECT device_id, metric_id AS pattern, source, job_id, owner,
  (extract(epoch FROM enabled_at) * 1e6)::bigint AS enabled_us,
  (extract(epoch FROM expires_at) * 1e6)::bigint AS expires_us
FROM kw.promotions_visible
WHERE expires_at IS NULL OR expires_at > now()
ORDER BY metric_id, source NULLS FIRST, job_id, owner, expires_at, device_id;
