-- The source $1 is being asked since $2 (seconds since the epoch), and has not answered yet.
SELECT kw.source_attempted($1, to_timestamp($2));
