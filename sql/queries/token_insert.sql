-- Remembers that a token was issued. $1 id, $2 user, $3 role, $4 devices or null, $5 metrics or null, $6 site or null,
-- $7 id of the key, $8 note, $9 seconds since the epoch when it was issued, $10 when it ends.
INSERT INTO kw.tokens (jti, username, role, devices, metrics, site, kid, note, issued_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, to_timestamp($9), to_timestamp($10));
