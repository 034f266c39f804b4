-- What tokens of these ids are. $1 ids.
SELECT jti, revoked_at IS NOT NULL AS revoked FROM kw.tokens WHERE jti = ANY ($1::text[]);
