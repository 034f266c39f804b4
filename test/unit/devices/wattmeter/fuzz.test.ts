/** Random and damaged input: nothing is read into it that is not there, and what comes behind it is read. */
import { expect, test } from 'vitest';
import { random } from '../../../support/random.ts';
import { type Decoded, decode, v1 } from './support.ts';

const RUNS = 100_000;
const V3_HEADER = '#timestamp,#frame_is_ok,#U1,#U2,#U3,#current1,#activepow1,#current2,#activepow2\n';
const V1_TEXT = `#header\n${v1('1606305600.020000000', '101.5', '', '99.25')}${v1('1606305600.040000000', '1', '2.5', '')}`;
const V3_TEXT = `${V3_HEADER}1671527189.314471465,true,232.3,0.0,0.0,0.1,20.9,0.2,41.8\n1671527189.33,false,,,,\n`;
/** Twice, since what came before may have had another number of columns. */
const GOOD = v1('1700000000.250000', '7', '8.125').repeat(2);
const GOOD_FRAME = [1_700_000_000_250_000, 7, 8.125];

/** A number as text, by the rules of the decoder but with other means. */
function numberOf(text: string): number | null | undefined {
  if (text === '' || /^[-+]?nan$/i.test(text)) return null;
  return /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text) ? Number(text) : undefined;
}

/** What one line says as v1 and as v3: time in microseconds and all values, by splitting text. */
function readings(line: string): (number | null)[][] {
  const fields = line.replace(/\r$/, '').split(',');
  const read = (time: string | undefined, state: string | undefined, good: string, values: string[]) => {
    const [, seconds, micros = ''] = /^(\d+)(?:\.(\d*))?$/.exec(time ?? '') ?? [];
    if (seconds === undefined || state !== good) return [];
    const numbers = values.map(numberOf);
    if (numbers.includes(undefined)) return [];
    return [
      [
        Number(seconds) * 1e6 +
          Number(micros.slice(0, 6).padEnd(6, '0')) +
          Number(/^\d{6}[5-9]/.test(micros)),
        ...(numbers as (number | null)[]),
      ],
    ];
  };
  return [
    ...read(fields[2], fields[3], 'OK', fields.slice(4)),
    ...read(fields[0], fields[1], 'true', fields.slice(2)),
  ];
}

function check(input: Buffer, chunkBytes: number): void {
  const text = input.toString('latin1');
  const { frames } = decode(input, chunkBytes);
  if (frames.length > 0) {
    const possible = text.split('\n').flatMap(readings);
    for (const [timestampUs, ...watts] of frames) {
      // The columns of the frame are those of a line of that time, in their order.
      const source = possible.some(([us, ...all]) => {
        if (us !== timestampUs) return false;
        let from = 0;
        return watts.every((watt) => {
          // A header may leave a port out.
          if (watt === null) return true;
          // A header may name columns in any order.
          const at = all.indexOf(watt, text.includes('#timestamp') ? 0 : from);
          from = at + 1;
          return at >= 0;
        });
      });
      if (!source || !Number.isSafeInteger(timestampUs)) expect.fail(JSON.stringify({ text, frames }));
    }
  }
  const after: Decoded = decode(Buffer.concat([input, Buffer.from(`\n${GOOD}`)]), chunkBytes);
  if (String(after.frames.at(-1)) !== String(GOOD_FRAME)) expect.fail(JSON.stringify({ text, after }));
}

test(`${RUNS} random inputs`, () => {
  const next = random(3);
  const likely = Buffer.from('0123456789.,,,,\n\r-+#eEOKtruefalse\0 ');
  for (let run = 0; run < RUNS; run++) {
    const input = Buffer.alloc(next() % 80);
    for (let at = 0; at < input.length; at++) {
      input[at] = run % 2 === 0 ? next() : (likely[next() % likely.length] as number);
    }
    check(input, 1 + (next() % 40));
  }
}, 60_000);

test(`${RUNS} damaged inputs`, () => {
  const next = random(4);
  const good = [Buffer.from(V1_TEXT), Buffer.from(V3_TEXT)];
  for (let run = 0; run < RUNS; run++) {
    let bad = Buffer.from(good[run % 2] as Buffer);
    for (let times = 1 + (next() % 4); times > 0; times--) {
      const at = next() % Math.max(bad.length, 1);
      const kind = next() % 5;
      if (kind === 0) bad[at] = next();
      else if (kind === 1) bad[at] = (bad[at] ?? 0) ^ (1 << (next() % 8));
      else if (kind === 2) bad = bad.subarray(0, at);
      else if (kind === 3) bad = Buffer.concat([bad.subarray(0, at), bad.subarray(at + (next() % 30))]);
      else bad = Buffer.concat([bad.subarray(0, at), bad.subarray(Math.max(0, at - (next() % 30)))]);
    }
    check(bad, 1 + (next() % 200));
  }
}, 60_000);
