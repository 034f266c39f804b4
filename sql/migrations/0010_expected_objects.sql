-- What migrations made, as PostgreSQL prints it: kw db doctor compares, kw db migrate restores. Written by
-- kw db migrate after each migration.
CREATE TABLE kw.expected_objects (
  kind text NOT NULL CHECK (kind IN ('function', 'view', 'index', 'trigger')),
  name text NOT NULL,
  -- A statement that makes it.
  definition text NOT NULL,
  -- Who may execute or read it; PUBLIC is ''.
  granted_to text[] NOT NULL,
  PRIMARY KEY (kind, name)
);
GRANT SELECT ON kw.expected_objects TO kw_reader;
