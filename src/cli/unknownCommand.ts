/** What kw says about a command that it does not have. */
import { closest } from '../lib/didYouMean.ts';
import { EXIT_USAGE, KwError } from '../lib/errors.ts';

/** oclif's words, with the command's own joined by colons. */
const NOT_FOUND = /^command (\S+) not found$/;

/**
 * @param known all commands and topics, their words separated by colons
 * @returns undefined if `error` is another one
 */
export function unknownCommand(error: Error, known: readonly string[]): KwError | undefined {
  const id = NOT_FOUND.exec(error.message)?.[1];
  if (id === undefined) return undefined;
  const typed = (name: string) => `kw ${name.replaceAll(':', ' ')}`;
  const said = (message: string, hint: string) =>
    new KwError(message, { code: 'USAGE', exit: EXIT_USAGE, hint, cause: error });
  const words = id.split(':');
  for (let length = words.length - 1; length > 0; length--) {
    const start = words.slice(0, length).join(':');
    if (!known.includes(start) || known.some((name) => name.startsWith(`${start}:`))) continue;
    return said(
      `${typed(start)}: unexpected argument ${JSON.stringify(words.slice(length).join(' '))}`,
      `${typed(start)} --help tells how it is used`,
    );
  }
  const [near] = closest(id, known);
  const topic = known.includes(words[0] ?? '') && words.length > 1 ? ` ${words[0]}` : '';
  return said(
    `there is no command ${typed(id)}`,
    near ? `did you mean ${typed(near)}?` : `kw${topic} --help lists the commands`,
  );
}
