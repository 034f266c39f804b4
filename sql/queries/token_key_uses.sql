-- How many tokens of each key hold.
SELECT kid, count(*)::int AS tokens FROM kw.tokens WHERE revoked_at IS NULL AND expires_at > now() GROUP BY kid;
