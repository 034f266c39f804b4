-- $2: the devices that are configured, as a JSON array of objects with device and protocol.
DELETE FROM kw.device_status d
WHERE collector_id = $1 AND NOT EXISTS (
  SELECT FROM jsonb_to_recordset($2::jsonb) AS r(device text, protocol text)
  WHERE r.device = d.device_id AND r.protocol = d.protocol
)
