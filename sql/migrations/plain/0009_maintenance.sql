-- Called by collectors every few minutes and by kw db maintain: makes partitions a week ahead, refreshes the
-- summary, drops what is older than the retention asks for. One caller at a time: for the others there is
-- nothing to do. `more` says that the summary was not finished within its time: call again.
CREATE FUNCTION kw.maintain() RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kw, pg_temp SET lock_timeout = '5s' AS $$
DECLARE
  made int := 0;
  dropped int := 0;
  more boolean;
BEGIN
  -- The lock of a row, since anybody may take an advisory lock and keep it.
  PERFORM FROM kw.settings s WHERE s.name = 'raw_dropped_before' FOR NO KEY UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RETURN '{"busy": true, "more": false}';
  END IF;
  FOR ahead IN -1 .. 7 LOOP
    made := made + kw.make_partition((now() AT TIME ZONE 'UTC')::date + ahead)::int;
  END LOOP;
  PERFORM kw.tidy_up();
  more := kw.refresh_summary();
  -- What is not summarised yet is not dropped.
  IF NOT more THEN
    dropped := kw.drop_old();
  END IF;
  RETURN jsonb_build_object('busy', false, 'more', more, 'partitions_made', made, 'partitions_dropped', dropped);
END
$$;

-- Drops the partitions that lie wholly before the retention of raw values, and old summaries.
CREATE FUNCTION kw.drop_old() RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, kw, pg_temp AS $$
DECLARE
  keep_from timestamptz := now() - kw.setting_interval('raw_retention');
  dropped int := 0;
  partition record;
BEGIN
  FOR partition IN
    SELECT p.name, (p.day + 1)::timestamp AT TIME ZONE 'UTC' AS ends FROM kw.metrics_partitions p
    WHERE (p.day + 1)::timestamp AT TIME ZONE 'UTC' <= least(keep_from, (SELECT s.watermark FROM kw.summary_state s))
      AND keep_from IS NOT NULL
    ORDER BY p.day
  LOOP
    BEGIN
      EXECUTE format('DROP TABLE kw.%I', partition.name);
      UPDATE kw.settings s SET value = to_jsonb(partition.ends)
      WHERE s.name = 'raw_dropped_before' AND partition.ends > (s.value #>> '{}')::timestamptz;
      dropped := dropped + 1;
    EXCEPTION WHEN lock_not_available THEN
      EXIT; -- somebody reads for long: next time
    END;
  END LOOP;
  IF kw.setting_interval('summary_retention') IS NOT NULL THEN
    DELETE FROM kw.summary_stored s WHERE s.bucket < now() - kw.setting_interval('summary_retention');
  END IF;
  RETURN dropped;
END
$$;
REVOKE ALL ON FUNCTION kw.maintain, kw.drop_old FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kw.maintain TO kw_collector;
