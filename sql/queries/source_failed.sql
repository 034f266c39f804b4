-- The source $1 did not answer, for the reason $2.
SELECT kw.source_failed($1, 'slow', $2);
