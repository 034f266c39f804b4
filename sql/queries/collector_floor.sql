-- Below segment $2 everything is stored, or told as lost: those rows of the ledger are of no use any more.
WITH floor AS (
  UPDATE kw.collectors SET spool_floor = $2
  WHERE collector_id = $1 AND (spool_floor IS NULL OR spool_floor < $2)
  RETURNING 1
)
DELETE FROM kw.ledger WHERE collector_id = $1 AND segment < $2 AND EXISTS (SELECT FROM floor)
