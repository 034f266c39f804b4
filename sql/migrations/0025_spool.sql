-- The spool of collectors: what was read and is not stored yet lies in numbered segments on their disks (kw.ledger has
-- one row for each that is begun).

-- Below this segment everything is stored, or told as lost: rows of the ledger below it are deleted, and a file below
-- it that comes back, as after a power cut, is never stored again.
ALTER TABLE kw.collectors ADD COLUMN spool_floor bigint;

-- memory: the buffer was full. full, old: the spool's oldest segment had to go. damaged: records that cannot be read;
-- samples counts the records then, since nobody knows their values.
ALTER TABLE kw.collector_losses ADD COLUMN reason text NOT NULL DEFAULT 'memory'
  CHECK (reason IN ('memory', 'full', 'old', 'damaged'));
ALTER TABLE kw.collector_losses DROP CONSTRAINT collector_losses_pkey;
ALTER TABLE kw.collector_losses ADD PRIMARY KEY (collector_id, lost_from, reason);

GRANT DELETE ON kw.ledger TO kw_collector;
-- A collector that starts again stores what an earlier run of it left behind.
GRANT SELECT, UPDATE ON kw.past_runs TO kw_collector;
