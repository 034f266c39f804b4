-- Forgets what was not seen since the transaction began, that is, what is not configured any more.
DELETE FROM kw.metric_catalogue WHERE collector_id = $1 AND seen_at < now()
