-- Revokes tokens that hold. $1 their ids, or null; $2 a user all of whose tokens are meant, or null.
UPDATE kw.tokens SET revoked_at = now(), revoked_by = session_user
WHERE revoked_at IS NULL AND expires_at > now() AND (jti = ANY ($1::text[]) OR username = $2)
RETURNING jti, username;
