-- Which of the promotions $1 there still are.
SELECT id FROM kw.promotions_visible WHERE id = ANY ($1::bigint[]);
