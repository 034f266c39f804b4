-- $2: rows of the catalogue as a JSON array. $3: since when they are configured, those that are new; microseconds
-- since the epoch.
INSERT INTO kw.metric_catalogue AS c
  (collector_id, device_id, metric_id, alias, period_ms, optional, optional_period_ms, protocol, unit, description,
   entry_name, seen_at, since)
SELECT $1, r."deviceId", r."metricId", r.alias, r."periodMs", r.optional, r."optionalPeriodMs", r.protocol, r.unit,
  r.description, nullif(r."entryName", r."metricId"), now(), timestamptz 'epoch' + $3::float8 * interval '1 microsecond'
FROM jsonb_to_recordset($2::jsonb) AS r("deviceId" text, "metricId" text, alias text, "periodMs" int, optional boolean,
  "optionalPeriodMs" int, protocol text, unit text, description text, "entryName" text)
ON CONFLICT (collector_id, device_id, metric_id, alias) DO UPDATE
SET period_ms = excluded.period_ms, optional = excluded.optional, optional_period_ms = excluded.optional_period_ms,
  protocol = excluded.protocol, unit = excluded.unit, description = excluded.description,
  entry_name = excluded.entry_name, seen_at = excluded.seen_at
