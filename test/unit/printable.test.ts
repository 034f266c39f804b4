/** Text from devices and users never acts on a terminal, whichever way it is printed. */
import { Writable } from 'node:stream';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { KwCommand } from '../../src/cli/command.ts';
import { KwError } from '../../src/lib/errors.ts';
import { makeLogger } from '../../src/lib/logger.ts';
import { listing } from '../../src/lib/output/listing.ts';
import { renderTable } from '../../src/lib/output/table.ts';
import { printable, printableLines } from '../../src/lib/printable.ts';

/** Sets a title, begins a sequence in one character, turns the direction round, ends a line. */
const HOSTILE = 'a\x1b]0;x\x07\u009b2J\u202eb\x7f\u{e0001}\ud800';
const SHOWN = 'a\\u001b]0;x\\u0007\\u009b2J\\u202eb\\u007f\\udb40\\udc01\\ud800';

describe('printable', () => {
  test('shows what acts as the escapes of JSON', () => {
    expect(printable(`${HOSTILE}\n`)).toBe(`${SHOWN}\\u000a`);
    expect(JSON.parse(printable(JSON.stringify(HOSTILE)))).toBe(HOSTILE);
  });
  test('keeps newlines and tabs of text that has lines, but no carriage return', () => {
    expect(printableLines(`${HOSTILE}\n\tb\r`)).toBe(`${SHOWN}\n\tb\\u000d`);
  });
  test('leaves all other text alone', () => {
    expect(printable('Zähler 温度 🌡 "x" \\u001b')).toBe('Zähler 温度 🌡 "x" \\u001b');
  });
});

describe('ways to a terminal', () => {
  class Saying extends KwCommand {
    async run(): Promise<void> {
      this.log(HOSTILE);
      this.logToStderr('%s', HOSTILE);
      throw new KwError(`there is no ${HOSTILE}`, { hint: `did you mean ${HOSTILE}?` });
    }
  }
  afterEach(() => vi.restoreAllMocks());

  test('commands: output, remarks, errors and hints', async () => {
    const said: string[] = [];
    const hear = (text: unknown) => void said.push(`${text}\n`);
    vi.spyOn(console, 'log').mockImplementation(hear);
    vi.spyOn(console, 'error').mockImplementation(hear);
    await expect(Saying.run([], process.cwd())).rejects.toMatchObject({ code: 'EEXIT' });
    expect(said.join('')).toBe(`${SHOWN}\n${SHOWN}\nkw: there is no ${SHOWN}\n    did you mean ${SHOWN}?\n`);
  });

  test('tables and listings', () => {
    expect(listing(['A'], [[HOSTILE]])).toBe(`A\n${SHOWN}`);
    expect(renderTable([{ head: 'A', cells: [printable(HOSTILE)] }])).toBe(`A\n${SHOWN}\n`);
  });

  test('logs: messages and fields', async () => {
    const lines: string[] = [];
    const destination = new Writable({
      write(chunk, _encoding, done) {
        lines.push(String(chunk));
        done();
      },
    });
    const logger = await makeLogger({ level: 'info', destination });
    logger.warn({ device: HOSTILE, polls: 3 }, `${HOSTILE} is down`);
    expect(JSON.parse(lines.join(''))).toMatchObject({ device: SHOWN, polls: 3, msg: `${SHOWN} is down` });
  });
});
