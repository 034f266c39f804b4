-- Called by collectors every few minutes and by kw db maintain. Chunks, compression and the summary are the
-- business of TimescaleDB's own jobs. One caller at a time: for the others there is nothing to do.
CREATE FUNCTION kw.maintain() RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kw, pg_temp AS $$
BEGIN
  -- The lock of a row, since anybody may take an advisory lock and keep it.
  PERFORM FROM kw.settings s WHERE s.name = 'raw_dropped_before' FOR NO KEY UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RETURN '{"busy": true, "more": false}';
  END IF;
  PERFORM kw.tidy_up();
  RETURN '{"busy": false, "more": false}';
END
$$;
REVOKE ALL ON FUNCTION kw.maintain FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kw.maintain TO kw_collector;
