-- Takes part $2 of the push $1 for this transaction (null), or tells what it was answered when it was stored.
SELECT kw.take_push_part($1::uuid, $2::int) AS answer
