-- Jobs of schedulers whose tables kw reads: where they come from, what of them is kept here, and the optional
-- metrics that they ask for.

-- One row a scheduler that kw reads (kw job source add). What kw is told of (kw job start) needs none.
CREATE TABLE kw.job_sources (
  name text PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9_]{0,30}$'),
  kind text NOT NULL CHECK (kind IN ('kw', 'oar', 'slurm', 'view')),
  -- Never a secret: passwords are in the user mapping of the foreign server.
  settings jsonb NOT NULL DEFAULT '{}',
  -- {"cut_at_dot": false} keeps domains; names that this does not serve are in kw.node_names.
  node_mapping jsonb NOT NULL DEFAULT '{}',
  state text NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'ok', 'slow', 'wrong', 'away')),
  -- A look at it that began, and has not come to an end while checked_at is older: it hangs.
  attempted_at timestamptz,
  checked_at timestamptz,
  last_good_at timestamptz,
  last_error text,
  running_jobs int NOT NULL DEFAULT 0,
  took_ms double precision
);

-- What the scheduler calls a node, and what its metrics call it, where cutting at the first dot does not do.
CREATE TABLE kw.node_names (
  source text NOT NULL REFERENCES kw.job_sources ON UPDATE CASCADE ON DELETE CASCADE,
  node text NOT NULL,
  device_id text NOT NULL,
  PRIMARY KEY (source, node)
);
GRANT SELECT ON kw.job_sources, kw.node_names TO kw_reader, kw_writer, kw_scheduler, kw_collector;
-- A name without its domain; an IP address stays whole, and so does what begins with a dot. Without SET, so that it
-- becomes part of the views that use it.
CREATE FUNCTION kw.short_node_name(node text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN CASE WHEN node ~ '^[0-9.]+$' OR position(':' IN node) > 0 OR position('.' IN node) <= 1 THEN node
  ELSE split_part(node, '.', 1) END;

-- The device that a node of a source is.
CREATE FUNCTION kw.device_of_node(job_source text, node_name text) RETURNS text
LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, kw, pg_temp
RETURN coalesce(
  (SELECT n.device_id FROM kw.node_names n WHERE n.source = job_source AND n.node = node_name),
  (SELECT node_name FROM kw.job_sources s
   WHERE s.name = job_source AND s.node_mapping -> 'cut_at_dot' = 'false'::jsonb),
  kw.short_node_name(node_name));

-- The jobs that are known here without asking anybody: those that kw was told of, and of each scheduler that it
-- reads those that it has seen running. Rights and promotions hang on this view only.
CREATE VIEW kw.nodetime_local AS
SELECT n.job_id, n.start_time, n.stop_time, n.node, j.owner, j.state, n.source
FROM kw.job_nodes n JOIN kw.jobs j USING (source, job_id);
GRANT SELECT ON kw.nodetime_local TO kw_reader, kw_writer, kw_scheduler;

-- Who asked for it: a user (kw enable), or a job by its type or comment. They never touch each other's.
ALTER TABLE kw.promoted_metrics
  ADD COLUMN origin text NOT NULL DEFAULT 'user' CHECK (origin IN ('user', 'scheduler')),
  ADD CHECK (origin = 'user' OR job_id IS NOT NULL),
  DROP CONSTRAINT promoted_metrics_device_id_metric_id_source_job_id_owner_key,
  -- The name that functions use.
  ADD CONSTRAINT promoted_metrics_device_id_metric_id_source_job_id_owner_key
    UNIQUE NULLS NOT DISTINCT (device_id, metric_id, source, job_id, owner, origin);

-- What the job asked for when it was last looked at: what its user disables since does not come back.
ALTER TABLE kw.jobs ADD COLUMN patterns text[];

CREATE FUNCTION kw.forget_patterns() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  NEW.patterns := NULL;
  RETURN NEW;
END
$$;
CREATE TRIGGER forget_patterns BEFORE UPDATE ON kw.jobs
FOR EACH ROW WHEN (NEW.stopped IS NOT NULL AND OLD.stopped IS NULL) EXECUTE FUNCTION kw.forget_patterns();

-- Brings what a job asked for by its type or comment in line: patterns of optional metrics on the nodes that it has
-- now, and no others. Patterns that are new are enabled, those that are gone end; what was enabled by hand stays,
-- and what was disabled by hand does not come back. Patterns that cannot be used are left out with a warning.
-- Returns how many are in force, each node counted. For schedulers and kw itself. What is left out is told once,
-- and not at each look.
CREATE FUNCTION kw.sync_job_promotions(source text, job_id bigint, patterns text[]) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kw, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  job kw.jobs;
  most int := (SELECT (s.value #>> '{}')::int FROM kw.settings s WHERE s.name = 'promotions_per_device');
  usable text[];
  pattern text;
BEGIN
  SELECT j.* INTO job FROM kw.jobs j WHERE j.source = source AND j.job_id = job_id FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'there is no job % of source %', job_id, source USING ERRCODE = 'no_data_found';
  END IF;
  usable := ARRAY(
    SELECT DISTINCT p FROM unnest(patterns) p
    WHERE p <> '' AND octet_length(p) <= 1024 ORDER BY p LIMIT most);
  IF cardinality(usable) < cardinality(patterns) AND job.patterns IS DISTINCT FROM usable THEN
    FOREACH pattern IN ARRAY patterns LOOP
      IF coalesce(pattern, '') = '' OR octet_length(pattern) > 1024 THEN
        RAISE WARNING 'job % of source %: a pattern is empty or longer than 1024 bytes, and is left out', job_id, source;
      ELSIF pattern <> ALL (usable) THEN
        RAISE WARNING 'job % of source %: more than % patterns; % is left out', job_id, source, most, left(pattern, 100);
      END IF;
    END LOOP;
  END IF;

  -- Looked for before it is deleted: a statement wakes the collectors even where it finds nothing.
  IF EXISTS (
    SELECT FROM kw.promoted_metrics p
    WHERE p.source = source AND p.job_id = job_id AND p.origin = 'scheduler'
      AND (p.metric_id <> ALL (usable) OR p.device_id NOT IN (SELECT n.node FROM kw.job_nodes_now(job_id, source) n)))
  THEN
    DELETE FROM kw.promoted_metrics p
    WHERE p.source = source AND p.job_id = job_id AND p.origin = 'scheduler'
      AND (p.metric_id <> ALL (usable) OR p.device_id NOT IN (SELECT n.node FROM kw.job_nodes_now(job_id, source) n));
  END IF;
  IF EXISTS (SELECT FROM unnest(usable) u WHERE u <> ALL (coalesce(job.patterns, '{}')))
    AND EXISTS (SELECT FROM kw.job_nodes_now(job_id, source))
  THEN
    INSERT INTO kw.promoted_metrics (device_id, metric_id, job_id, source, owner, origin)
    SELECT n.node, u, job_id, source, job.owner, 'scheduler'
    FROM kw.job_nodes_now(job_id, source) n, unnest(usable) u
    WHERE u <> ALL (coalesce(job.patterns, '{}'))
    ON CONFLICT ON CONSTRAINT promoted_metrics_device_id_metric_id_source_job_id_owner_key DO NOTHING;
    UPDATE kw.jobs j SET patterns = usable WHERE j.source = source AND j.job_id = job_id;
  ELSIF job.patterns <> usable OR (job.patterns IS NULL AND cardinality(usable) = 0 AND job.stopped IS NULL) THEN
    UPDATE kw.jobs j SET patterns = usable WHERE j.source = source AND j.job_id = job_id;
  END IF;
  RETURN (
    SELECT count(*) FROM kw.promoted_metrics p
    WHERE p.source = source AND p.job_id = job_id AND p.origin = 'scheduler');
END
$$;

REVOKE ALL ON FUNCTION kw.short_node_name, kw.device_of_node, kw.forget_patterns, kw.sync_job_promotions FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kw.short_node_name, kw.device_of_node TO kw_reader, kw_writer, kw_scheduler;
GRANT EXECUTE ON FUNCTION kw.sync_job_promotions TO kw_scheduler;
