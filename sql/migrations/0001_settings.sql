-- Settings that hold for every client of the database. Read by everybody, changed by kw_admin:
--   UPDATE kw.settings SET value = '"20 years"' WHERE name = 'max_past';
REVOKE ALL ON SCHEMA kw FROM PUBLIC;
GRANT USAGE ON SCHEMA kw TO kw_reader, kw_writer, kw_scheduler, kw_collector;

-- The only schema that an HTTP API offers to its callers. Empty until there is one.
RESET ROLE;
CREATE SCHEMA api AUTHORIZATION kw_owner;
SET LOCAL ROLE kw_owner;
REVOKE ALL ON SCHEMA api FROM PUBLIC;
GRANT USAGE ON SCHEMA api TO kw_reader, kw_writer;

CREATE TABLE kw.settings (
  name text PRIMARY KEY,
  value jsonb NOT NULL,
  description text NOT NULL DEFAULT ''
);
GRANT SELECT ON kw.settings TO kw_reader, kw_writer, kw_scheduler, kw_collector;
GRANT SELECT ON kw.migrations TO kw_reader, kw_writer, kw_scheduler, kw_collector;

INSERT INTO kw.settings (name, value, description) VALUES
  ('max_past', '"10 years"', 'interval: older timestamps are refused'),
  ('max_future', '"1 hour"', 'interval: timestamps further ahead are refused'),
  ('label_sets_per_day', '10000', 'distinct devices and label sets that one user may push for one metric in one day'),
  ('sets_per_user_and_day', '100000', 'the same over all metrics: each is a segment of its own in a compressed chunk'),
  ('promotions_per_device', '64', 'patterns that one user may have enabled on one device for one job'),
  ('promotions_per_user', '100000', 'patterns that one user who is no scheduler may have enabled, each device counted'),
  ('promotion_without_end', '"24 hours"', 'interval: how long an optional metric stays enabled by device without --for'),
  ('job_max_age', '"30 days"', 'interval: a job that runs longer is taken as forgotten and gives no rights any more'),
  ('users_start_jobs', 'false', 'whether kw_writer may start jobs of its own by hand, on any nodes'),
  ('raw_retention', 'null', 'interval or null: older raw values are dropped; their summary stays'),
  ('summary_retention', 'null', 'interval or null: older summaries are dropped'),
  ('raw_dropped_before', '"-infinity"', 'written by kw: raw values before this timestamp were dropped, their summary stays');

-- A setting that is an interval; NULL when it is null or not there.
CREATE FUNCTION kw.setting_interval(setting text) RETURNS interval
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
RETURN (SELECT (s.value #>> '{}')::interval FROM kw.settings s WHERE s.name = setting);

-- Before this timestamp there are no raw values any more, and there shall be no new ones: a refresh of the
-- summary would replace what was dropped by the few values that came late.
CREATE FUNCTION kw.raw_dropped_before() RETURNS timestamptz
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
RETURN (SELECT (s.value #>> '{}')::timestamptz FROM kw.settings s WHERE s.name = 'raw_dropped_before');
