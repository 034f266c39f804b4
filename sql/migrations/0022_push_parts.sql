-- What the command line needs of the database when it works through kw serve.

-- Which parts of pushes are stored, for clients whose connection breaks before they hear of it: kw push through kw serve
-- sends the same part again, and it is stored once. Kept for as long as somebody may ask.

CREATE TABLE kw.push_parts (
  owner text NOT NULL,
  push uuid NOT NULL,
  -- From 0 on; -1 stands for the whole of a push that is stored at once or not at all.
  part int NOT NULL,
  -- What was answered. Null while its transaction runs, which nobody else sees.
  answer jsonb,
  stored_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (owner, push, part)
);
CREATE INDEX push_parts_age ON kw.push_parts (stored_at);

-- Takes a part for this transaction: null. If it is stored already: what was answered then. Waits for another
-- transaction that has it.
CREATE FUNCTION kw.take_push_part(push uuid, part int) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kw, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  caller text := kw.require_caller();
  given jsonb;
BEGIN
  DELETE FROM kw.push_parts p WHERE p.stored_at < now() - interval '10 minutes' AND p.owner = caller;
  INSERT INTO kw.push_parts (owner, push, part) VALUES (caller, push, part) ON CONFLICT DO NOTHING;
  IF FOUND THEN
    RETURN NULL;
  END IF;
  SELECT p.answer INTO STRICT given FROM kw.push_parts p
  WHERE p.owner = caller AND p.push = push AND p.part = part;
  RETURN given;
END
$$;

-- What the part that this transaction has taken is answered with.
CREATE FUNCTION kw.answer_push_part(push uuid, part int, answer jsonb) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, kw, pg_temp AS $$
  UPDATE kw.push_parts p SET answer = $3 WHERE p.owner = kw.require_caller() AND p.push = $1 AND p.part = $2
$$;

REVOKE ALL ON FUNCTION kw.take_push_part, kw.answer_push_part FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kw.take_push_part, kw.answer_push_part TO kw_writer;

-- A writer may read too, and kw query says what an answer lacks.
GRANT SELECT ON kw.past_runs, kw.collector_runs, kw.collector_losses TO kw_writer;
