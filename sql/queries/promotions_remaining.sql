-- Which of the promotions $1 there still are.
SELECT id FROM kw.promoted_metrics WHERE id = ANY ($1::bigint[]);
