-- What collectors say about themselves and their devices.

CREATE TABLE kw.collectors (
  collector_id uuid PRIMARY KEY,
  name text NOT NULL,
  host text NOT NULL,
  version text NOT NULL,
  started_at timestamptz NOT NULL,
  seen_at timestamptz NOT NULL,
  -- Everything it read up to here is stored.
  written_up_to timestamptz,
  -- Null while it runs, or if it died.
  stopped_at timestamptz,
  counters jsonb NOT NULL DEFAULT '{}',
  -- Where its own status can be asked for, such as http://127.0.0.1:9842.
  endpoint text
);

CREATE TABLE kw.metric_catalogue (
  collector_id uuid NOT NULL,
  device_id text NOT NULL,
  metric_id text NOT NULL,
  alias text NOT NULL DEFAULT '',
  period_ms int NOT NULL,
  optional boolean NOT NULL DEFAULT false,
  optional_period_ms int,
  protocol text NOT NULL,
  unit text,
  description text,
  seen_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (collector_id, device_id, metric_id, alias)
);
CREATE INDEX metric_catalogue_device ON kw.metric_catalogue (device_id);
CREATE INDEX metric_catalogue_alias ON kw.metric_catalogue (alias) WHERE alias <> '';

CREATE TABLE kw.device_status (
  collector_id uuid NOT NULL,
  device_id text NOT NULL,
  protocol text NOT NULL,
  up boolean NOT NULL,
  last_poll_at timestamptz,
  last_up_at timestamptz,
  poll_ms double precision,
  period_ms int,
  polls bigint NOT NULL DEFAULT 0,
  missed bigint NOT NULL DEFAULT 0,
  -- Number of problems by kind, such as {"timeout": 3}.
  errors jsonb NOT NULL DEFAULT '{}',
  last_error text,
  PRIMARY KEY (collector_id, device_id, protocol)
) WITH (fillfactor = 70);

-- Up to where each segment of a collector's spool is stored: written in the transaction that stores the rows,
-- so that a replay writes nothing twice.
CREATE TABLE kw.ledger (
  collector_id uuid NOT NULL,
  segment bigint NOT NULL,
  "offset" bigint NOT NULL,
  committed_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (collector_id, segment)
) WITH (fillfactor = 70);

GRANT SELECT ON kw.collectors, kw.metric_catalogue, kw.device_status TO kw_reader;
GRANT SELECT ON kw.collectors, kw.metric_catalogue TO kw_writer, kw_scheduler;
GRANT SELECT, INSERT, UPDATE, DELETE ON kw.metric_catalogue, kw.device_status TO kw_collector;
GRANT SELECT, INSERT, UPDATE ON kw.collectors, kw.ledger TO kw_collector;
