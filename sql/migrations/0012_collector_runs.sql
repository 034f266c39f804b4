-- When collectors ran, what each was to read in which times, and what they lost: so that a query can name the gaps
-- of its answer. The current run of a collector is its row in kw.collectors; at the next start it moves here.
CREATE TABLE kw.past_runs (
  collector_id uuid NOT NULL,
  started_at timestamptz NOT NULL,
  -- Everything it read in this run up to here is stored, or in kw.collector_losses. Runs that stored nothing are not kept.
  written_up_to timestamptz NOT NULL,
  -- Null if it died.
  stopped_at timestamptz,
  PRIMARY KEY (collector_id, started_at)
);
CREATE INDEX past_runs_written_up_to ON kw.past_runs (written_up_to);

CREATE VIEW kw.collector_runs AS
SELECT collector_id, started_at, written_up_to, stopped_at, false AS is_last FROM kw.past_runs
UNION ALL
SELECT collector_id, started_at, CASE WHEN written_up_to >= started_at THEN written_up_to END, stopped_at, true
FROM kw.collectors;

-- Values that were dropped because the buffer was full: written in the transaction that stores what came after them.
-- Losses within a minute of each other are one.
CREATE TABLE kw.collector_losses (
  collector_id uuid NOT NULL,
  lost_from timestamptz NOT NULL,
  lost_until timestamptz NOT NULL,
  samples bigint NOT NULL,
  PRIMARY KEY (collector_id, lost_from)
);

-- Since when the entry is configured. Of what was there before this migration only the last start is known.
ALTER TABLE kw.metric_catalogue ADD COLUMN since timestamptz NOT NULL DEFAULT now();
UPDATE kw.metric_catalogue m SET since = c.started_at FROM kw.collectors c WHERE c.collector_id = m.collector_id;

-- Entries that are configured no more.
CREATE TABLE kw.metric_catalogue_past (
  collector_id uuid NOT NULL,
  device_id text NOT NULL,
  metric_id text NOT NULL,
  alias text NOT NULL DEFAULT '',
  optional boolean NOT NULL,
  protocol text NOT NULL,
  since timestamptz NOT NULL,
  until timestamptz NOT NULL
);
CREATE INDEX metric_catalogue_past_device ON kw.metric_catalogue_past (device_id);
CREATE INDEX metric_catalogue_past_alias ON kw.metric_catalogue_past (alias) WHERE alias <> '';

GRANT SELECT ON kw.past_runs, kw.collector_runs, kw.collector_losses, kw.metric_catalogue_past TO kw_reader;
GRANT INSERT ON kw.past_runs, kw.metric_catalogue_past TO kw_collector;
GRANT SELECT, INSERT, UPDATE ON kw.collector_losses TO kw_collector;

INSERT INTO kw.settings (name, value, description) VALUES
  ('runs_dropped_before', '"-infinity"', 'written by kw: runs of collectors that ended before this timestamp were dropped');

CREATE OR REPLACE FUNCTION kw.tidy_up() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, kw, pg_temp AS $$
DECLARE
  -- As long as there may be values or summaries of that time.
  runs_from timestamptz := now() - coalesce(
    CASE WHEN kw.setting_interval('raw_retention') IS NOT NULL
      THEN greatest(kw.setting_interval('raw_retention'), kw.setting_interval('summary_retention')) END,
    kw.setting_interval('max_past'), interval '10 years');
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
  DELETE FROM kw.past_runs r WHERE r.written_up_to < runs_from;
  IF FOUND THEN
    UPDATE kw.settings s SET value = to_jsonb(runs_from)
    WHERE s.name = 'runs_dropped_before' AND runs_from > (s.value #>> '{}')::timestamptz;
  END IF;
  DELETE FROM kw.collector_losses l WHERE l.lost_until < runs_from;
  DELETE FROM kw.metric_catalogue_past p WHERE p.until < runs_from;
END
$$;
