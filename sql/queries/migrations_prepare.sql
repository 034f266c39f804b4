-- What has to be there before the first migration: the schema, and the record of what was applied.
CREATE SCHEMA IF NOT EXISTS kw AUTHORIZATION kw_owner;
SET LOCAL ROLE kw_owner;
CREATE TABLE IF NOT EXISTS kw.migrations (
  version int PRIMARY KEY,
  name text NOT NULL,
  -- timescaledb or plain: the same for every row of a database.
  flavour text NOT NULL CHECK (flavour IN ('timescaledb', 'plain')),
  -- SHA-256 of the SQL that was run, in hexadecimal.
  checksum text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
);
