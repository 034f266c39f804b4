-- Schedulers that are to be asked for their jobs.
SELECT name, kind FROM kw.job_sources WHERE kind IN ('oar', 'view') ORDER BY name
