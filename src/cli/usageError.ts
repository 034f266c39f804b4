/**
 * Mistakes on the command line, in kw's words: one sentence and what to do, instead of oclif's message followed by
 * the whole help, which pushes the message off the screen.
 */
import { closest } from '../lib/didYouMean.ts';
import { EXIT_USAGE, KwError } from '../lib/errors.ts';

interface Argument {
  readonly name: string;
  readonly description?: string;
}

/** What oclif's parser throws; its classes are not exported. */
interface ParseError extends Error {
  readonly parse: unknown;
  /** Of RequiredArgsError (definitions) and UnexpectedArgsError (words). */
  readonly args?: readonly (string | Argument)[];
  /** Of NonExistentFlagsError, as written. */
  readonly flags?: readonly string[];
}

function isParseError(error: Error): error is ParseError {
  return 'parse' in error || /^(Flag \S+ expects |Parsing --)/.test(error.message);
}

/**
 * @param command as it is typed, such as `kw job start`
 * @param flags the names of its flags
 * @returns undefined if `error` is none of oclif's parser
 */
export function usageError(error: Error, command: string, flags: readonly string[]): KwError | undefined {
  if (!isParseError(error)) return undefined;
  const help = `${command} --help tells how it is used`;
  const said = (message: string, hint = help) =>
    new KwError(message, { code: 'USAGE', exit: EXIT_USAGE, hint, cause: error });
  if (Array.isArray(error.flags)) {
    const flag = String(error.flags[0]);
    const [near] = closest(flag.replace(/^-+/, '').replace(/=.*/s, ''), flags);
    const givesRows = flag === '--json' && flags.includes('format');
    if (givesRows) return said(`${command} has no flag --json`, `write --format json. ${help}`);
    return said(`${command} has no flag ${flag}`, near ? `did you mean --${near}? ${help}` : help);
  }
  if (Array.isArray(error.args)) {
    const first: string | Argument = error.args[0];
    if (typeof first === 'string') return said(`${command}: unexpected argument ${JSON.stringify(first)}`);
    const { name, description } = first;
    return said(`${name.toUpperCase()} is missing${description ? `: ${description}` : ''}`);
  }
  return said(sentences(error.message).join('; '));
}

/** Each thing that the parser found wrong. */
function sentences(message: string): string[] {
  const lines = message
    .replace(/\nSee more help with --help$/, '')
    .replace(/^The following errors? occurred:/, '')
    .replace(/\s*\n\t\s*/g, ' ')
    .split('\n')
    .map((line) => sentence(line.trim()))
    .filter((line) => line !== '');
  return [...new Set(lines)];
}

function sentence(line: string): string {
  return line
    .replace(/^Missing required flag (\S+)$/, '--$1 is missing')
    .replace(/^Flag (\S+) expects/, '$1 expects')
    .replace(/^Parsing (\S+)\s+Expected/, '$1: expected')
    .replace(/^Expected (\S+?)=(.*) to be one of: /s, '$1 knows no "$2": it is one of ')
    .replace(/^All of the following must be provided when using (\S+): /, '$1 needs ')
    .replace(/^Exactly one of the following must be provided: /, 'give one of ')
    .replace(
      /^(\S+?)(?:=.*)? cannot also be provided when using (\S+)$/,
      (_, one: string, other: string) => `${[one, other].sort().join(' and ')} exclude each other`,
    );
}
