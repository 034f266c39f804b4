-- What both flavours tidy up. Part of kw.maintain().
CREATE FUNCTION kw.tidy_up() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, kw, pg_temp AS $$
BEGIN
  DELETE FROM kw.promoted_metrics p WHERE p.expires_at <= now();
  -- nodetime_by_job may be a site's own view on a foreign server, which may be away.
  BEGIN
    DELETE FROM kw.promoted_metrics p
    WHERE p.job_id IS NOT NULL AND p.enabled_at < now() - interval '1 minute' AND NOT EXISTS (
      SELECT FROM kw.nodetime_by_job n
      WHERE n.job_id = p.job_id AND n.source = p.source
        AND (n.stop_time IS NULL OR n.stop_time > now())
        AND n.start_time > now() - kw.setting_interval('job_max_age'));
  EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'jobs cannot be read: %', SQLERRM;
  END;
  DELETE FROM kw.pushed_label_sets p WHERE p.day < current_date - 1;
  -- A spool that was not written to for a year is gone.
  DELETE FROM kw.ledger l WHERE l.committed_at < now() - interval '1 year';
END
$$;
REVOKE ALL ON FUNCTION kw.tidy_up FROM PUBLIC;
