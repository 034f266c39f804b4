-- Remembers what part $2 of the push $1 is answered with.
SELECT kw.answer_push_part($1::uuid, $2::int, $3::jsonb)
