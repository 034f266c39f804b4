-- Brings what a job asked for by its type or comment in line: patterns of optional metrics on the nodes that it has
-- now, and no others. Patterns that are new are enabled, those that are gone end; what was enabled by hand stays,
-- and what was disabled by hand does not come back. Patterns that cannot be used are left out with a warning.
-- Returns how many are in force, each node counted. For schedulers and kw itself. As before; what is left out is told
-- once, and not at each look.
CREATE OR REPLACE FUNCTION kw.sync_job_promotions(source text, job_id bigint, patterns text[]) RETURNS int
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
