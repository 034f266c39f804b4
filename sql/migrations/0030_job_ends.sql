-- A user could end a job of their own in the future: the scheduler's end found it ended already, and the rights on its
-- nodes went on. Users end jobs now or earlier, and an end that has not come yet is no end.

-- Ends a job, or takes nodes from it; the job ends with its last node. What was enabled for it ends too.
-- Returns the number of nodes that it lost. Stopping what has stopped is no error.
CREATE OR REPLACE FUNCTION kw.job_stop(
  job bigint,
  source text DEFAULT 'kw',
  stopped timestamptz DEFAULT now(),
  nodes text[] DEFAULT NULL,
  state text DEFAULT 'stopped'
) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kw, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  caller text := kw.require_caller();
  job_owner text;
  ended int;
BEGIN
  PERFORM kw.check_name('state', state);
  SELECT j.owner INTO job_owner FROM kw.jobs j WHERE j.source = source AND j.job_id = job FOR UPDATE;
  IF job_owner IS NULL THEN
    RAISE EXCEPTION 'there is no job % of source %', job, source USING ERRCODE = 'no_data_found';
  END IF;
  IF NOT kw.is_scheduler() AND job_owner <> caller THEN
    RAISE EXCEPTION 'job % belongs to %', job, job_owner USING ERRCODE = 'insufficient_privilege';
  END IF;
  stopped := CASE WHEN kw.is_scheduler() THEN coalesce(stopped, now()) ELSE least(stopped, now()) END;
  UPDATE kw.job_nodes n SET stop_time = greatest(stopped, n.start_time)
  WHERE n.source = source AND n.job_id = job AND (n.stop_time IS NULL OR n.stop_time > now())
    AND (nodes IS NULL OR n.node = ANY (nodes));
  GET DIAGNOSTICS ended = ROW_COUNT;
  DELETE FROM kw.promoted_metrics p
  WHERE p.source = source AND p.job_id = job AND (nodes IS NULL OR p.device_id = ANY (nodes));
  UPDATE kw.jobs j SET stopped = greatest(stopped, j.started), state = state
  WHERE j.source = source AND j.job_id = job AND (j.stopped IS NULL OR j.stopped > now())
    AND NOT EXISTS (
      SELECT FROM kw.job_nodes n WHERE n.source = source AND n.job_id = job AND n.stop_time IS NULL);
  RETURN ended;
END
$$;
