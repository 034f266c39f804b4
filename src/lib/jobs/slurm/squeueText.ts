/**
 * The answer of `squeue` as text, for a Slurm that was built without JSON. A comment is the user's and may hold
 * newlines and whole lines that look like those of other jobs (as in `scontrol show job`, which cannot be read safely).
 * So each line begins with a word that users cannot know, made for this one question, and the comment is the last field:
 * what follows up to the next such word is comment.
 */
import { phaseOf, type SlurmJob } from './model.ts';

/** Number, array, index, name, user, state, start, end, submission, nodes, comment. */
const FIELDS = ['%A', '%F', '%K', '%i', '%u', '%T', '%S', '%e', '%V', '%N', '%k'];
const BETWEEN = '|';

/** For SQUEUE_FORMAT, which other users cannot see, with SLURM_TIME_FORMAT=%s. @param word unguessable */
export function squeueFormat(word: string): string {
  return [word, ...FIELDS].join(BETWEEN);
}

/** @param word that of squeueFormat */
export function parseSqueueText(answer: string, word: string): SlurmJob[] {
  const records = `\n${answer}`.split(`\n${word}${BETWEEN}`).slice(1);
  return records.flatMap((record) => slurmJob(record.replace(/\n$/, '')) ?? []);
}

function slurmJob(record: string): SlurmJob | undefined {
  const fields = record.split(BETWEEN, FIELDS.length - 1);
  if (fields.length < FIELDS.length - 1) return undefined;
  const [
    id = '',
    arrayId = '',
    index = '',
    name = '',
    user = '',
    state = '',
    start = '',
    end = '',
    submit = '',
    nodes = '',
  ] = fields;
  const comment = record.slice(fields.join(BETWEEN).length + 1);
  const jobId = number(id);
  if (!jobId || user === '') return undefined;
  const phase = phaseOf([state]);
  const element = number(index);
  const het = /^(\d+)\+\d+$/.exec(name)?.[1];
  return {
    jobId,
    array: element === undefined ? undefined : { jobId: number(arrayId) ?? jobId, index: element },
    hetJobId: het === undefined ? undefined : number(het),
    user,
    state: state.toLowerCase(),
    phase,
    nodes: nodes === '(null)' ? '' : nodes,
    startS: phase === 'waiting' ? undefined : number(start),
    endS: phase === 'over' ? number(end) : undefined,
    submitS: number(submit),
    resizeS: undefined,
    comment: comment === '' || comment === '(null)' ? undefined : comment,
  };
}

/** Undefined for `N/A`, `NONE` and whatever else is no number. */
function number(text: string): number | undefined {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : undefined;
  return value;
}
