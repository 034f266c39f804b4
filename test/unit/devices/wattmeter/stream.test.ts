/** What becomes of frames: means, every frame while promoted, gaps, clocks, ports. */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TestStream, v1 } from './support.ts';

/** A whole second. */
const S = 1_700_000_000;

/** Frames 20 ms apart from `from` up to `to` seconds behind S, without those for which `isMissing`. */
function frames(
  from: number,
  to: number,
  watts: (second: number) => string[],
  isMissing = (_ms: number) => false,
): string {
  let text = '';
  for (let ms = from * 1000; ms < to * 1000 - 1e-6; ms += 20) {
    if (!isMissing(ms)) text += v1((S + Math.round(ms) / 1000).toFixed(6), ...watts(ms / 1000));
  }
  return text;
}

const ramp = (second: number) => [String(Math.round((second % 1) * 50))];

describe('the mean of a second', () => {
  it('is that of its frames, carries the whole second, and the last one is stored at the end of the input', async () => {
    const stream = new TestStream();
    await stream.write(frames(0, 2.5, (second) => [...ramp(second), '7', '']));
    expect(stream.lines(S)).toEqual(['w-port0 0 24.5', 'w-port1 0 7', 'w-port0 1 24.5', 'w-port1 1 7']);
    await stream.end();
    expect(stream.lines(S).slice(4)).toEqual(['w-port0 2 12', 'w-port1 2 7']);
    expect(stream.ended).toBe(true);
    expect(stream.missed).toBe(0);
    expect(stream.problems).toEqual([]);
    expect(stream.readings).toBe(125);
  });

  it('has no row for a second without frames', async () => {
    const stream = new TestStream();
    stream.nowUs = S * 1e6 + 1e12;
    const text = frames(0, 5, ramp, (ms) => ms >= 1_000 && ms < 4_000);
    await stream.write(text);
    await stream.end();
    expect(stream.lines(S)).toEqual(['w-port0 0 24.5', 'w-port0 4 24.5']);
    expect(stream.missed).toBe(150);
    expect(stream.problems).toMatchObject([{ kind: 'gap', count: 150 }]);
  });

  it('is over time, not over count, when frames are missing', async () => {
    // 100 W in the first half of each second, 200 W in the second half.
    const halves = (second: number) => [second % 1 < 0.5 ? '100' : '200'];
    const stream = new TestStream();
    // Of second 1 nine tenths of the frames of its second half are missing; of second 3 those of the first.
    const isMissing = (ms: number) => (ms >= 1_500 && ms < 1_950) || (ms >= 3_050 && ms < 3_500);
    await stream.write(frames(0, 5, halves, isMissing));
    await stream.end();
    const means = stream.rows.map(({ value }) => value);
    expect([means[0], means[2], means[4]]).toEqual([150, 150, 150]);
    // By count: 107 and 193. The lost time is shared by what was measured before and behind it.
    expect(means[1]).toBeCloseTo(100 * 0.73 + 200 * 0.27, 6);
    expect(means[3]).toBeCloseTo(100 * 0.28 + 200 * 0.72, 6);
  });

  it('counts a frame beside a hole for no more than its own second', async () => {
    const stream = new TestStream();
    // Second 1 has one frame of 500 W at 1.2 s, and 100 W from 1.8 s on; there is nothing from 0.5 s to 1.2 s.
    const watts = (second: number) => [Math.abs(second - 1.2) < 0.001 ? '500' : '100'];
    await stream.write(frames(0, 3, watts, (ms) => ms >= 500 && ms < 1_800 && ms !== 1_200));
    await stream.end();
    // To 500 W belong the 200 ms before it, not 350, and the 300 ms behind it.
    expect(stream.rows[1]?.value).toBeCloseTo((500 * (0.2 + 0.3) + 100 * 0.49) / 0.99, 6);
  });

  it('of a port is over the values that the port has', async () => {
    const stream = new TestStream();
    await stream.write(frames(0, 2, (second) => ['10', Math.round(second * 50) % 2 === 0 ? '4' : '']));
    await stream.end();
    expect(stream.lines(S)).toEqual(['w-port0 0 10', 'w-port1 0 4', 'w-port0 1 10', 'w-port1 1 4']);
  });

  it('is scaled', async () => {
    const stream = new TestStream({ scaleFactor: 0.001 });
    await stream.write(frames(0, 1.1, () => ['2000']));
    expect(stream.lines(S)).toEqual(['w-port0 0 2']);
    await stream.end();
  });

  it('is of update_every, if that is another time', async () => {
    const stream = new TestStream({ updateEveryMs: 5_000 });
    await stream.write(frames(0, 10.1, (second) => [String(Math.floor(second))]));
    expect(stream.lines(S)).toEqual(['w-port0 0 2', 'w-port0 5 7']);
    await stream.end();
  });

  it('is held back until its second is over, and says since when', async () => {
    const stream = new TestStream();
    stream.nowUs = S * 1e6 + 500_000;
    await stream.write(frames(0.4, 0.5, ramp));
    expect(stream.stream.heldSinceUs?.()).toBe(S * 1e6);
    // A wattmeter with a wrong clock must not hold everything else back.
    stream.nowUs = S * 1e6 + 3_600e6;
    await stream.write(frames(1.4, 1.5, ramp));
    expect(stream.stream.heldSinceUs?.()).toBe(S * 1e6 + 3_600e6);
    await stream.end();
    expect(stream.stream.heldSinceUs?.()).toBeUndefined();
  });
});

describe('a promotion', () => {
  it('gives every frame from the very next one on, with its microseconds, and what was gathered as a mean', async () => {
    const stream = new TestStream();
    await stream.write(frames(0, 1.5, (second) => [...ramp(second), '7']));
    stream.promoted.add('w-port0');
    const raw = v1(`${S + 1}.500000999`, '1.5', '7') + v1(`${S + 1}.520000`, '2.5', '7');
    await stream.write(raw);
    expect(stream.lines(S)).toEqual([
      'w-port0 0 24.5',
      'w-port1 0 7',
      'w-port0 1 12',
      'w-port0 1.500001 1.5',
      'w-port0 1.52 2.5',
    ]);
    await stream.end();
  });

  it('ends with its second, so that no value is lost and none is stored twice', async () => {
    const stream = new TestStream();
    stream.promoted.add('w-port0');
    await stream.write(frames(0, 0.5, ramp));
    stream.promoted.clear();
    await stream.write(frames(0.5, 2.5, ramp));
    await stream.end();
    const lines = stream.lines(S);
    expect(lines.slice(0, 50)).toEqual(
      Array.from({ length: 50 }, (_, frame) => `w-port0 ${frame / 50} ${frame}`),
    );
    expect(lines.slice(50)).toEqual(['w-port0 1 24.5', 'w-port0 2 12']);
  });

  it('is the only time when an optional metric is stored', async () => {
    const stream = new TestStream({ optional: true });
    await stream.write(frames(0, 1.5, ramp));
    stream.promoted.add('w-port0');
    await stream.write(frames(1.5, 1.54, ramp));
    stream.promoted.clear();
    await stream.write(frames(1.54, 3.5, ramp));
    await stream.end();
    expect(stream.lines(S).slice(0, 2)).toEqual(['w-port0 1.5 25', 'w-port0 1.52 26']);
    expect(stream.rows).toHaveLength(25);
  });
});

describe('clocks', () => {
  it('that go back begin anew, and are told', async () => {
    const stream = new TestStream();
    await stream.write(frames(0, 10.5, ramp));
    await stream.write(frames(5, 6.1, () => ['3']));
    await stream.end();
    const lines = stream.lines(S);
    expect(lines.slice(9)).toEqual(['w-port0 9 24.5', 'w-port0 10 12', 'w-port0 5 3', 'w-port0 6 3']);
    expect(stream.problems).toMatchObject([
      { kind: 'clock', message: expect.stringContaining('5.48 s back') },
    ]);
  });

  it('that leap forward lose no frames, and are told', async () => {
    const stream = new TestStream();
    stream.nowUs = S * 1e6 + 500_000;
    await stream.write(frames(0, 0.5, ramp));
    stream.nowUs += 20_000;
    await stream.write(frames(3600.5, 3602, () => ['3']));
    await stream.end();
    expect(stream.lines(S)).toEqual(['w-port0 0 12', 'w-port0 3600 3', 'w-port0 3601 3']);
    expect(stream.missed).toBe(0);
    expect(stream.problems).toMatchObject([{ kind: 'clock', message: expect.stringContaining('forward') }]);
  });

  it('whose frames come out of order count each frame once, and store no second twice', async () => {
    const stream = new TestStream();
    const at = (second: string, watt: string) => v1(`${S}${second}`, watt);
    await stream.write(frames(-2, 0, () => ['1']));
    await stream.write(at('.00', '2') + at('.04', '4') + at('.02', '3') + frames(0.06, 1, () => ['3']));
    // Late by less than a second, of a second that is stored already.
    await stream.write(frames(1, 1.1, () => ['5']) + at('.98', '1000') + frames(1.1, 2.1, () => ['5']));
    await stream.end();
    expect(stream.lines(S)).toEqual([
      'w-port0 -2 1',
      'w-port0 -1 1',
      'w-port0 0 3',
      'w-port0 1 5',
      'w-port0 2 5',
    ]);
    const clock = stream.problems.filter(({ kind }) => kind === 'clock');
    expect(clock.reduce((sum, { count = 1 }) => sum + count, 0)).toBe(2);
    expect(clock[0]?.message).toContain('a frame is 20 ms older than the one before it');
  });
});

describe('lines that are no frames', () => {
  it('are counted by kind and told together, and cost only themselves', async () => {
    const stream = new TestStream();
    await stream.write(
      `hello\n${frames(0, 0.5, ramp)}junk\u001b[2J\n${v1(`${S}.5`, '3').replace('OK', 'ERR')}`,
    );
    await stream.write(frames(0.52, 1.1, ramp));
    await stream.end();
    expect(stream.readings).toBe(54);
    expect(stream.problems).toMatchObject([
      { kind: 'protocol', count: 2, message: expect.stringContaining('"hello"') },
      { kind: 'protocol', message: expect.stringContaining('calls a frame bad') },
      { kind: 'gap', count: 1 },
    ]);
    expect(JSON.stringify(stream.problems)).not.toContain('\u001b');
  });

  it('with another number of ports are told, and ports that are gone are closed', async () => {
    const stream = new TestStream();
    await stream.write(frames(0, 1, () => ['1', '2', '3']) + frames(1, 2.1, () => ['1', '2']));
    expect([...stream.open.values()].map(({ deviceId }) => deviceId)).toEqual(['w-port0', 'w-port1']);
    await stream.end();
    expect(stream.problems.map(({ message }) => message)).toContainEqual(
      expect.stringContaining('has 2 ports now, before it had 3'),
    );
    expect(stream.lines(S).slice(0, 5)).toEqual([
      'w-port2 0 3',
      'w-port0 0 1',
      'w-port1 0 2',
      'w-port0 1 1',
      'w-port1 1 2',
    ]);
  });
});

describe('quantities', () => {
  const v3 = (second: number) => `${(S + second).toFixed(6)},true,230,231,232,0.5,115,1,230\n`;

  it('of v3 are currents of ports and voltages of phases too, each an entry of its own', async () => {
    const stream = new TestStream({ quantities: ['power', 'current', 'voltage'] });
    await stream.write(v3(0.2) + v3(0.4) + v3(1));
    expect(stream.rows.map(({ device, metric, value, labels }) => [device, metric, value, labels])).toEqual([
      ['w-port0', 'power', 115, {}],
      ['w-port1', 'power', 230, {}],
      ['w-port0', 'current', 0.5, {}],
      ['w-port1', 'current', 1, {}],
      ['w', 'voltage', 230, { phase: '1' }],
      ['w', 'voltage', 231, { phase: '2' }],
      ['w', 'voltage', 232, { phase: '3' }],
    ]);
    await stream.end();
  });

  it('that the lines do not have are told', async () => {
    const stream = new TestStream({ quantities: ['current'] });
    await stream.write(v1(`${S}.2`, '1'));
    await stream.end();
    expect(stream.problems).toMatchObject([
      { kind: 'missing', message: expect.stringContaining('no current') },
    ]);
  });

  it('come and go with the configuration; what stays keeps what it gathered', async () => {
    const stream = new TestStream({ quantities: ['power', 'current'] });
    await stream.write(v3(0.2) + v3(0.4));
    stream.stream.configure(stream.requests.slice(0, 1));
    expect(stream.rows.map(({ metric }) => metric)).toEqual(['current', 'current']);
    expect([...stream.open.values()].map(({ metricId }) => metricId)).toEqual(['power', 'power']);
    stream.stream.configure(stream.requests);
    await stream.write(v3(0.6) + v3(1));
    await stream.end();
    expect(
      stream.rows.filter(({ metric, timestampUs }) => metric === 'power' && timestampUs === S * 1e6),
    ).toHaveLength(2);
  });
});

describe('the mapping', () => {
  let folder: string;
  let file: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'kw-wattmeter-'));
    file = join(folder, 'mapping.yaml');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** Until the stream has read its mapping. */
  const settled = () => new Promise((resolve) => setTimeout(resolve, 100));

  it('gives ports the node that they power, before their first frame', async () => {
    writeFileSync(
      file,
      'node-1: [w-port0,w-port2]\nnode-2: w-port1\nnode-3: [other-port0, w-portal, w-port01, w-port9999]\nnode-4:\n',
    );
    const stream = new TestStream({ mapping: file });
    await settled();
    expect([...stream.open.values()].map(({ deviceId, labels }) => [deviceId, labels._device_alias])).toEqual(
      [
        ['w-port0', 'node-1'],
        ['w-port2', 'node-1'],
        ['w-port1', 'node-2'],
      ],
    );
    await stream.write(frames(0, 1.02, () => ['1', '2', '3', '4']));
    expect(stream.rows.map(({ device, labels }) => [device, labels])).toEqual([
      ['w-port0', { _device_alias: 'node-1' }],
      ['w-port1', { _device_alias: 'node-2' }],
      ['w-port2', { _device_alias: 'node-1' }],
      ['w-port3', {}],
    ]);
    await stream.end();
  });

  it('is read again when it changes, and the old one stays when the new one is no good', async () => {
    writeFileSync(file, 'node-1: [w-port0]\nnode-2: [w-port1]\n');
    const stream = new TestStream({ mapping: file });
    await settled();
    await stream.write(frames(0, 0.1, () => ['1', '2']));
    writeFileSync(join(folder, 'new'), 'node-1: [w-port0]\nnode-9: [w-port1]\n');
    renameSync(join(folder, 'new'), file);
    await expect
      .poll(() => [...stream.open.values()].map(({ labels }) => labels._device_alias), { timeout: 5_000 })
      .toEqual(['node-1', 'node-9']);
    await stream.write(frames(0.1, 1.02, () => ['1', '2']));
    expect(stream.rows.map(({ device, labels, value }) => [device, labels._device_alias, value])).toEqual([
      ['w-port1', 'node-2', 2],
      ['w-port0', 'node-1', 1],
      ['w-port1', 'node-9', 2],
    ]);
    writeFileSync(file, 'node-1: [w-port0]\nnode-2: [w-port0]\n');
    await expect
      .poll(() => stream.problems.map(({ message }) => message), { timeout: 5_000 })
      .toContainEqual(expect.stringContaining('w-port0 is at node-1 and at node-2'));
    expect(stream.open.size).toBe(2);
    await stream.end();
  });

  it.each([
    ['[1, 2]', 'lines of the form'],
    ['node-1: [3]', 'a port that is no text'],
    ['node-1: [w-port0', 'is no YAML'],
    ['? [a]\n: b', 'node'],
  ])('of %j is refused, and values are stored without it', async (text, problem) => {
    writeFileSync(file, text);
    const stream = new TestStream({ mapping: file });
    await settled();
    await stream.write(frames(0, 1.02, () => ['1']));
    await stream.end();
    if (problem !== 'node') expect(stream.problems[0]?.message).toContain(problem);
    expect(stream.rows[0]).toMatchObject({ device: 'w-port0', labels: {} });
  });
});
