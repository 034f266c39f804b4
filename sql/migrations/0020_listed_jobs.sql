-- Lists of jobs over all sources. A list of what runs asks nobody: it is kept here, a second old at most while a
-- collector runs. A list of all asks each source for its last jobs; one that cannot be asked is told in a row of its
-- own (problem, and no job), and what was seen of its jobs here takes their place.
CREATE FUNCTION kw.listed_jobs(finished boolean, wanted_owner text, most int)
RETURNS TABLE (
  source text, job_id bigint, name_id text, owner text, state text, comment text, started timestamptz, stopped timestamptz,
  nodes text[], problem text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, kw, pg_temp AS $$
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
            CASE WHEN wanted_owner IS NOT NULL THEN format(' AND owner = %L', wanted_owner) END
              || CASE WHEN NOT sees_all THEN format(' AND owner = %L', caller) ELSE '' END, most)
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
  -- Where no source is read elsewhere, the view may be one that the site made itself.
  RETURN QUERY EXECUTE format($sql$
    SELECT n.source, n.job_id, coalesce(j.name_id, n.job_id::text), n.owner, n.state, j.comment, n.started, n.stopped, n.nodes, NULL::text
    FROM (
      SELECT source, job_id, max(owner) AS owner, max(state) AS state, min(start_time) AS started,
        CASE WHEN bool_and(stop_time IS NOT NULL) THEN max(stop_time) END AS stopped, array_agg(DISTINCT node) AS nodes
      FROM kw.%1$I
      WHERE ($1 OR (source, job_id) IN (SELECT source, job_id FROM kw.%1$I WHERE stop_time IS NULL))
        AND ($2 IS NULL OR owner = $2) AND ($3 OR owner = $4) AND (source <> ALL ($5) OR source = ANY ($6))
      GROUP BY source, job_id
      ORDER BY min(start_time) DESC, job_id DESC, source
      LIMIT $7
    ) n LEFT JOIN kw.jobs j USING (source, job_id)
    $sql$, CASE WHEN cardinality(elsewhere) = 0 THEN 'nodetime_by_job' ELSE 'nodetime_local' END)
    USING finished, wanted_owner, sees_all, caller, elsewhere, local_sources, most;
END
$$;
REVOKE ALL ON FUNCTION kw.listed_jobs FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kw.listed_jobs TO kw_reader, kw_writer, kw_scheduler, kw_anon;

-- As before; and a kw.nodetime_by_job that a site made itself, without a source, is read.
CREATE OR REPLACE FUNCTION kw.all_job_nodetimes(wanted_job bigint, wanted_source text DEFAULT NULL)
RETURNS TABLE (
  job_id bigint, start_time timestamptz, stop_time timestamptz, node text, owner text, state text, source text, problem text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, kw, pg_temp AS $$
#variable_conflict use_column
DECLARE
  one kw.job_sources;
  rows kw.nodetime_local[];
  trouble text;
  detail text;
BEGIN
  IF NOT EXISTS (SELECT FROM kw.job_sources s WHERE kw.is_read(s.kind)) THEN
    RETURN QUERY
      SELECT n.job_id::bigint, n.start_time, n.stop_time, n.node, n.owner, n.state, n.source, NULL::text FROM kw.nodetime_by_job n
      WHERE n.job_id = wanted_job AND (wanted_source IS NULL OR n.source = wanted_source);
    RETURN;
  END IF;
  RETURN QUERY
    SELECT n.job_id, n.start_time, n.stop_time, n.node, n.owner, n.state, n.source, NULL::text FROM kw.nodetime_local n
    WHERE n.job_id = wanted_job AND (wanted_source IS NULL OR n.source = wanted_source)
      AND NOT EXISTS (SELECT FROM kw.job_sources s WHERE s.name = n.source AND kw.is_read(s.kind));
  FOR one IN
    SELECT s.* FROM kw.job_sources s
    WHERE kw.is_read(s.kind) AND (wanted_source IS NULL OR s.name = wanted_source) ORDER BY s.name
  LOOP
    trouble := kw.source_problem(one);
    IF trouble IS NULL THEN
      BEGIN
        EXECUTE format('SELECT array_agg(n::kw.nodetime_local) FROM (
            SELECT job_id, start_time, stop_time, node, owner, state, source FROM kw_sources.%I WHERE job_id = %s) n',
          one.name, wanted_job) INTO rows;
      EXCEPTION WHEN query_canceled OR OTHERS THEN
        GET STACKED DIAGNOSTICS trouble = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
        trouble := kw.source_words(trouble, detail);
      END;
    END IF;
    IF trouble IS NULL THEN
      RETURN QUERY SELECT r.job_id, r.start_time, r.stop_time, r.node, r.owner, r.state, r.source, NULL::text FROM unnest(rows) r;
    ELSE
      RETURN QUERY
        SELECT n.job_id, n.start_time, n.stop_time, n.node, n.owner, n.state, n.source, NULL::text FROM kw.nodetime_local n
        WHERE n.job_id = wanted_job AND n.source = one.name;
      RETURN QUERY SELECT wanted_job, NULL::timestamptz, NULL::timestamptz, NULL, NULL, NULL, one.name, trouble;
    END IF;
  END LOOP;
END
$$;
