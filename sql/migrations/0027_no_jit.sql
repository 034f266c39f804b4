-- Estimates for foreign tables are guesses: a wrong one has a question for one job compiled, which takes a hundred times
-- as long as the question.
ALTER FUNCTION kw.all_job_nodetimes(bigint, text) SET jit = off;
ALTER FUNCTION kw.listed_jobs(boolean, text, int) SET jit = off;
ALTER FUNCTION kw.sync_source(text, interval) SET jit = off;
