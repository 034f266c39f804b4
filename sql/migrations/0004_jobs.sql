-- Jobs, the nodes they have, and the optional metrics that were enabled for them.

-- Job numbers of two schedulers collide, hence the source; an array job is `1234_7` in name_id.
CREATE TABLE kw.jobs (
  source text NOT NULL DEFAULT 'kw',
  job_id bigint NOT NULL,
  name_id text NOT NULL,
  owner text NOT NULL,
  state text NOT NULL DEFAULT 'running',
  submitted timestamptz,
  started timestamptz,
  stopped timestamptz,
  comment text,
  PRIMARY KEY (source, job_id)
);
CREATE INDEX jobs_running ON kw.jobs (owner) WHERE stopped IS NULL;
CREATE INDEX jobs_started ON kw.jobs (started DESC);

-- When a job has a node: nodes may leave early and, after a requeue, come back.
CREATE TABLE kw.job_nodes (
  source text NOT NULL DEFAULT 'kw',
  job_id bigint NOT NULL,
  node text NOT NULL,
  start_time timestamptz NOT NULL,
  stop_time timestamptz,
  PRIMARY KEY (source, job_id, node, start_time),
  FOREIGN KEY (source, job_id) REFERENCES kw.jobs ON DELETE CASCADE,
  CHECK (stop_time >= start_time)
);
CREATE INDEX job_nodes_job ON kw.job_nodes (job_id);
CREATE INDEX job_nodes_node ON kw.job_nodes (node, start_time);
-- kw job list finds the running ones among years of jobs.
CREATE INDEX job_nodes_running ON kw.job_nodes (source, job_id) WHERE stop_time IS NULL;

-- Everything job-like reads this view, whose first four columns are Kwollect's. A site may replace it by a join
-- on the tables of its scheduler: CREATE OR REPLACE VIEW with the same columns.
CREATE VIEW kw.nodetime_by_job AS
SELECT n.job_id, n.start_time, n.stop_time, n.node, j.owner, j.state, n.source
FROM kw.job_nodes n JOIN kw.jobs j USING (source, job_id);

-- Patterns are regular expressions of users: matched by kw (RE2, linear time), never by SQL.
CREATE TABLE kw.promoted_metrics (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  device_id text NOT NULL,
  metric_id text NOT NULL,
  job_id bigint,
  source text,
  owner text NOT NULL DEFAULT session_user,
  enabled_at timestamptz NOT NULL DEFAULT now(),
  -- Null: as long as the job runs.
  expires_at timestamptz,
  CHECK (job_id IS NOT NULL OR expires_at IS NOT NULL),
  CHECK ((job_id IS NULL) = (source IS NULL)),
  UNIQUE NULLS NOT DISTINCT (device_id, metric_id, source, job_id, owner)
);
CREATE INDEX promoted_metrics_job ON kw.promoted_metrics (source, job_id);

CREATE FUNCTION kw.notify_promotions() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM pg_notify('kw_promotions', '');
  RETURN NULL;
END
$$;
CREATE TRIGGER notify_promotions AFTER INSERT OR UPDATE OR DELETE ON kw.promoted_metrics
FOR EACH STATEMENT EXECUTE FUNCTION kw.notify_promotions();

GRANT SELECT ON kw.jobs, kw.job_nodes, kw.nodetime_by_job, kw.promoted_metrics TO kw_reader, kw_writer, kw_scheduler;
GRANT SELECT ON kw.promoted_metrics TO kw_collector;
