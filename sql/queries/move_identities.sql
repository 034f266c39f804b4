-- After rows came with numbers of their own: the next numbers are larger.
SELECT setval(
  pg_get_serial_sequence('kw.promoted_metrics', 'id'),
  greatest((SELECT max(id) FROM kw.promoted_metrics), 1),
  EXISTS (SELECT FROM kw.promoted_metrics)
)
