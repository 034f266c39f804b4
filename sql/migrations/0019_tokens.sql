-- Tokens of the HTTP API that kw token create issued: never a token itself, which is signed and needs no table, but who
-- has one, for what, until when, and whether it was revoked.
CREATE TABLE kw.tokens (
  jti text PRIMARY KEY,
  username text NOT NULL,
  role text NOT NULL,
  -- What may be pushed for, and under which names; NULL: the nodes of the user's running jobs, any name.
  devices text[],
  metrics text[],
  site text,
  -- The key that signed it.
  kid text NOT NULL,
  note text NOT NULL DEFAULT '',
  issued_at timestamptz NOT NULL DEFAULT now(),
  issued_by text NOT NULL DEFAULT session_user,
  expires_at timestamptz NOT NULL,
  revoked_at timestamptz,
  revoked_by text
);
CREATE INDEX tokens_revoked ON kw.tokens (expires_at) WHERE revoked_at IS NOT NULL;

-- What the HTTP API must know to refuse tokens: those revoked that would still hold, and the name of the site. Nothing
-- about the others: the login of the API may not list who has tokens.
CREATE FUNCTION kw.revoked_tokens() RETURNS SETOF text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT t.jti FROM kw.tokens t WHERE t.revoked_at IS NOT NULL AND t.expires_at > now();
END;

-- For PostgREST (db-pre-request = kw.check_token), which verifies signature and times only: refuses revoked tokens and
-- those of other sites. kw serve does the same itself.
CREATE FUNCTION kw.check_token() RETURNS void
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, kw, pg_temp AS $$
DECLARE
  claims jsonb := kw.caller_claims();
BEGIN
  IF EXISTS (SELECT FROM kw.tokens t WHERE t.jti = claims ->> 'jti' AND t.revoked_at IS NOT NULL) THEN
    RAISE EXCEPTION 'this token was revoked' USING ERRCODE = 'PT401', HINT = 'ask an administrator for another one';
  END IF;
  IF claims ->> 'site' IS NOT NULL
    AND claims ->> 'site' IS DISTINCT FROM (SELECT s.value #>> '{}' FROM kw.settings s WHERE s.name = 'site') THEN
    RAISE EXCEPTION 'this token is for another site' USING ERRCODE = 'PT401';
  END IF;
END
$$;

REVOKE ALL ON FUNCTION kw.revoked_tokens, kw.check_token FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kw.revoked_tokens TO kw_api;
GRANT EXECUTE ON FUNCTION kw.check_token TO kw_anon, kw_reader, kw_writer, kw_scheduler;
