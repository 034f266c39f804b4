-- The collector $1 lost $4 values of the times from $2 to $3 (microseconds since the epoch) for the reason $5. Those of
-- one reason within a minute of each other are one.
WITH lost AS (
  SELECT timestamptz 'epoch' + $2::float8 * interval '1 microsecond' AS lost_from,
         timestamptz 'epoch' + $3::float8 * interval '1 microsecond' AS lost_until
), more AS (
  UPDATE kw.collector_losses l
  SET lost_until = greatest(l.lost_until, lost.lost_until), samples = l.samples + $4
  FROM lost
  WHERE l.collector_id = $1 AND l.reason = $5
    AND l.lost_from = (SELECT max(o.lost_from) FROM kw.collector_losses o
                       WHERE o.collector_id = $1 AND o.reason = $5 AND o.lost_from <= lost.lost_from)
    AND l.lost_until >= lost.lost_from - interval '1 minute'
  RETURNING 1
)
INSERT INTO kw.collector_losses AS l (collector_id, lost_from, lost_until, samples, reason)
SELECT $1, lost_from, lost_until, $4, $5 FROM lost
WHERE NOT EXISTS (SELECT FROM more)
