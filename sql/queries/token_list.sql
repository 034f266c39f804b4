-- Tokens that were issued, those that end last first. $1 whether those too that hold no more, $2 user or null, $3 how many.
SELECT jti, username, role, devices, metrics, site, kid, note, issued_by, revoked_by,
  (extract(epoch FROM issued_at) * 1e6)::bigint AS issued_us,
  (extract(epoch FROM expires_at) * 1e6)::bigint AS expires_us,
  (extract(epoch FROM revoked_at) * 1e6)::bigint AS revoked_us
FROM kw.tokens
WHERE ($1 OR (revoked_at IS NULL AND expires_at > now())) AND ($2::text IS NULL OR username = $2)
ORDER BY expires_at DESC, jti
LIMIT $3;
