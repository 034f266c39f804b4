-- $2: states of devices as a JSON array; times in microseconds since the epoch. A collector that was started again, or
-- opened the device anew, does not know when it answered before: that stays.
INSERT INTO kw.device_status AS d
  (collector_id, device_id, protocol, up, last_poll_at, last_up_at, poll_ms, period_ms, polls, missed, errors, last_error)
SELECT $1, r.device, r.protocol, r.up, timestamptz 'epoch' + r."lastPollUs" * interval '1 microsecond',
  timestamptz 'epoch' + r."lastUpUs" * interval '1 microsecond', r."pollMs", r."periodMs", r.polls, r.missed,
  coalesce(r.errors, '{}'), r."lastError"
FROM jsonb_to_recordset($2::jsonb) AS r(device text, protocol text, up boolean, "lastPollUs" float8, "lastUpUs" float8,
  "pollMs" float8, "periodMs" int, polls bigint, missed bigint, errors jsonb, "lastError" text)
ON CONFLICT (collector_id, device_id, protocol) DO UPDATE
SET up = excluded.up, last_poll_at = excluded.last_poll_at, last_up_at = coalesce(excluded.last_up_at, d.last_up_at),
  poll_ms = excluded.poll_ms, period_ms = excluded.period_ms, polls = excluded.polls, missed = excluded.missed,
  errors = excluded.errors, last_error = excluded.last_error
