-- Lists of jobs over all sources. A list of what runs asks nobody: it is kept here, a second old at most while a
-- collector runs. A list of all asks each source for its last jobs; one that cannot be asked is told in a row of its
-- own (problem, and no job), and what was seen of its jobs here takes their place. Without JIT, as
-- kw.all_job_nodetimes.
CREATE FUNCTION kw.listed_jobs(finished boolean, wanted_owner text, most int)
RETURNS TABLE (
  source text, job_id bigint, name_id text, owner text, state text, comment text, started timestamptz, stopped timestamptz,
  nodes text[], problem text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, kw, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
  caller text := kw.caller_name();
  sees_all boolean := kw.sees_all();
  one kw.job_sources;
  elsewhere text[] := ARRAY(SELECT s.name FROM kw.job_sources s WHERE kw.is_read(s.kind));
  local_sources text[] := '{}';
  listed kw.source_job[];
  nodes jsonb;
  trouble text;
  detail text;
BEGIN
  FOR one IN SELECT s.* FROM kw.job_sources s WHERE kw.is_read(s.kind) ORDER BY s.name LOOP
    trouble := kw.source_problem(one);
    IF trouble IS NULL AND finished THEN
      BEGIN
        IF one.kind = 'oar' THEN
          EXECUTE format($sql$
            SELECT array_agg((j.job_id, j.owner, j.state, j.name, NULL, to_timestamp(j.start_time),
              CASE WHEN j.stop_time > 0 THEN to_timestamp(j.stop_time) END)::kw.source_job)
            FROM (
              SELECT job_id, owner, state, name, start_time, stop_time FROM kw_sources.%I
              WHERE true %s ORDER BY job_id DESC LIMIT %s) j
            $sql$, one.name || '_jobs',
            concat(
              CASE WHEN wanted_owner IS NOT NULL THEN format(' AND owner = %L', wanted_owner) END,
              CASE WHEN NOT sees_all THEN format(' AND owner = %L', caller) END), most)
            INTO listed;
        ELSE
          EXECUTE format($sql$
            SELECT array_agg((v.job_id, v.owner, v.state, NULL, NULL, v.started, v.stopped)::kw.source_job)
            FROM (
              SELECT job_id, max(owner) AS owner, max(state) AS state, min(start_time) AS started,
                CASE WHEN bool_and(stop_time IS NOT NULL) THEN max(stop_time) END AS stopped
              FROM kw_sources.%I WHERE ($1 IS NULL OR owner = $1) AND ($2 OR owner = $3)
              GROUP BY job_id ORDER BY min(start_time) DESC LIMIT $4) v
            $sql$, one.name) INTO listed USING wanted_owner, sees_all, caller, most;
        END IF;
        EXECUTE format('SELECT jsonb_object_agg(n.job_id, n.nodes) FROM (
            SELECT job_id, array_agg(DISTINCT node) AS nodes FROM kw_sources.%I WHERE job_id = ANY ($1) GROUP BY job_id) n',
          one.name) INTO nodes USING ARRAY(SELECT l.job_id FROM unnest(listed) l);
      EXCEPTION WHEN query_canceled OR OTHERS THEN
        GET STACKED DIAGNOSTICS trouble = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
        trouble := kw.source_words(trouble, detail);
      END;
      IF trouble IS NULL THEN
        RETURN QUERY
          SELECT one.name, l.job_id, l.job_id::text, l.owner, l.state, l.name, l.started, l.stopped,
            ARRAY(SELECT jsonb_array_elements_text(nodes -> l.job_id::text)), NULL::text
          FROM unnest(listed) l;
        CONTINUE;
      END IF;
    END IF;
    local_sources := local_sources || one.name;
    IF trouble IS NOT NULL THEN
      RETURN QUERY SELECT one.name, NULL::bigint, NULL, NULL, NULL, NULL, NULL::timestamptz, NULL::timestamptz, NULL::text[], trouble;
    END IF;
  END LOOP;
  -- By the indexes on what runs and on starts.
  RETURN QUERY EXECUTE format($sql$
    SELECT j.source, j.job_id, j.name_id, j.owner, j.state, j.comment, j.started, j.stopped,
      ARRAY(SELECT DISTINCT n.node FROM kw.job_nodes n WHERE n.source = j.source AND n.job_id = j.job_id), NULL::text
    FROM kw.jobs j
    WHERE %1$s AND ($1 IS NULL OR j.owner = $1) AND ($2 OR j.owner = $3) AND (j.source <> ALL ($4) OR j.source = ANY ($5))
    ORDER BY j.started DESC, j.job_id DESC, j.source
    LIMIT $6
    $sql$, CASE WHEN finished THEN 'true' ELSE 'j.stopped IS NULL' END)
    USING wanted_owner, sees_all, caller, elsewhere, local_sources, most;
END
$$;
REVOKE ALL ON FUNCTION kw.listed_jobs FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kw.listed_jobs TO kw_reader, kw_writer, kw_scheduler, kw_anon;
