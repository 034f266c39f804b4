/** What the lines of wattmetre-read mean. */
import { describe, expect, it } from 'vitest';
import { MAX_COLUMNS, MAX_LINE_BYTES } from '../../../../src/lib/devices/wattmeter/lines.ts';
import { random } from '../../../support/random.ts';
import { decode, v1 } from './support.ts';

const V3_HEADER = '#timestamp,#frame_is_ok,#U1,#U2,#U3,#current1,#activepow1,#current2,#activepow2\n';

describe('v1', () => {
  it('gives the watts of port 0 and up, with an empty field for a port without a value', () => {
    expect(decode(`#header\n${v1('1606305600.020000000', '101.5', '', '99.25', '')}`)).toMatchObject({
      frames: [[1_606_305_600_020_000, 101.5, null, 99.25, null]],
      faults: [],
      layouts: [{ version: 1, columns: 4, power: [0, 1, 2, 3] }],
    });
  });

  it('keeps every microsecond, and rounds what is behind it', () => {
    const times = [
      '1606305600.123456789',
      '1606305600.999999999',
      '1606305601',
      '1606305601.5',
      '1606305601.0000019',
    ];
    expect(decode(times.map((time) => v1(time, '1')).join('')).frames.map(([us]) => us)).toEqual([
      1_606_305_600_123_457, 1_606_305_601_000_000, 1_606_305_601_000_000, 1_606_305_601_500_000,
      1_606_305_601_000_002,
    ]);
  });

  it('leaves out frames that are not OK', () => {
    const text =
      v1('1606305600.0', '1') + v1('1606305600.1', '2').replace('OK', 'KO') + v1('1606305600.2', '3');
    expect(decode(text)).toMatchObject({
      frames: [
        [1_606_305_600_000_000, 1],
        [1_606_305_600_200_000, 3],
      ],
      faults: ['bad frame'],
    });
  });

  it('reads numbers as they are written', () => {
    const numbers = ['0', '-0.125', '+7', '.5', '12.', '1e3', '1.5E-2', 'nan', '123456789.12345679', '0.1'];
    expect(decode(v1('1606305600.0', ...numbers)).frames[0]?.slice(1)).toEqual([
      0,
      -0.125,
      7,
      0.5,
      12,
      1000,
      0.015,
      null,
      123_456_789.123_456_79,
      0.1,
    ]);
  });

  it.each([
    '17,42,1606305600.5,OK,12,1x,3',
    '17,42,1606305600.5,OK,12, 1,3',
    '17,42,1606305600.5,OK,-,1,3',
    '17,42,1606305600.5,OK,.,1,3',
    '17,42,1606305600.5,OK,0x10,1,3',
    '17,42,1606305600.5,OK,inf,1,3',
    '17,42,1606305600.5,OK,1.2.3,1,3',
    '17,42,1606305600.5,OK',
    '17,42,1606305600.5,,1,1,3',
    '17,42,1606305600.5x,OK,1,1,3',
    '17,42,-1606305600.5,OK,1,1,3',
    '17,42,606305600.5,OK,1,1,3',
    '17,42,99999999999.5,OK,1,1,3',
    '17,42,,OK,1,1,3',
    '17,42',
    'hello',
    ',,,,,,',
    '\0\0\0\u00ff\u00fe',
  ])('takes %j for no frame, and goes on', (line) => {
    const good = v1('1606305600.0', '1', '2', '3');
    const { frames, faults } = decode(`${good}${line}\n${good}`);
    expect(frames).toHaveLength(2);
    expect(faults).toEqual(['no frame']);
  });
});

describe('v3', () => {
  it('gives power, current and voltage by the names of the header', () => {
    const text = `${V3_HEADER}1671527189.314471465,true,232.3,0.0,0.0,0.1,20.9,0.2,41.8\n`;
    expect(decode(text)).toMatchObject({
      frames: [[1_671_527_189_314_471, 20.9, 41.8]],
      layouts: [{ version: 3, columns: 7, voltage: [0, 1, 2], current: [3, 5], power: [4, 6] }],
    });
  });

  it('goes by the header where columns stand in another order or are left out', () => {
    const text = '#timestamp,#frame_is_ok,#activepow2,#energy1,#activepow1\n1671527189.3,true,2,7,1\n';
    expect(decode(text).frames).toEqual([[1_671_527_189_300_000, 1, 2]]);
  });

  it('is known without its header too', () => {
    expect(decode('1671527189.3,true,232.3,0.0,0.0,0.1,20.9\n')).toMatchObject({
      frames: [[1_671_527_189_300_000, 20.9]],
      layouts: [{ version: 3, power: [4] }],
    });
  });

  it('leaves out frames that are not ok, whatever number of commas they have', () => {
    const good = '1671527189.3,true,232.3,0.0,0.0,0.1,20.9,0.2,41.8\n';
    const { frames, faults } = decode(
      `${V3_HEADER}1671527189.1,false,,,,\n${good}1671527189.5,false\n${good}`,
    );
    expect(frames).toHaveLength(2);
    expect(faults).toEqual(['bad frame', 'bad frame']);
  });
});

describe('what comes in pieces', () => {
  const text = `#header\r\n${v1('1606305600.020000000', '101.5', '', '99.25')}\n\n${v1('1606305600.040000000', '1', '2', '3').replace('\n', '\r\n')}`;

  it.each([1, 2, 3, 7, 50, 1000])('is the same in chunks of %i bytes', (bytes) => {
    expect(decode(text, bytes)).toEqual(decode(text));
    expect(decode(text, bytes).frames).toHaveLength(2);
  });

  it('gives no frame for a last line without its end, which may have lost digits', () => {
    expect(decode(v1('1606305600.0', '1') + v1('1606305600.1', '12').trimEnd())).toMatchObject({
      frames: [[1_606_305_600_000_000, 1]],
      faults: ['partial'],
    });
  });

  it.each([100, 65_536])('skips a line that is too long, in bounded memory (chunks of %i bytes)', (bytes) => {
    const long = `${v1('1606305600.0', '1').trimEnd()},${'1,'.repeat(MAX_LINE_BYTES)}\n`;
    const { frames, faults } = decode(v1('1606305600.0', '1') + long + v1('1606305600.1', '2'), bytes);
    expect(frames.map(([us]) => us)).toEqual([1_606_305_600_000_000, 1_606_305_600_100_000]);
    expect(faults).toEqual(['too long']);
  });

  it('takes no frame of more columns than a wattmeter can have', () => {
    const { frames, faults } = decode(
      v1('1606305600.0', ...Array.from({ length: MAX_COLUMNS + 1 }, () => '1')),
    );
    expect([frames, faults]).toEqual([[], ['no frame']]);
  });
});

describe('another number of values', () => {
  it('in one line is a damaged line, whose values may stand at the wrong ports', () => {
    const text =
      v1('1606305600.0', '1', '2', '3') + v1('1606305600.1', '1', '3') + v1('1606305600.2', '4', '5', '6');
    expect(decode(text)).toMatchObject({
      frames: [
        [1_606_305_600_000_000, 1, 2, 3],
        [1_606_305_600_200_000, 4, 5, 6],
      ],
      faults: ['other columns'],
    });
  });

  it('in two lines one after the other is another number of ports', () => {
    const text =
      v1('1606305600.0', '1', '2', '3') +
      v1('1606305600.1', '1', '3') +
      v1('1606305600.2', '1', '4') +
      v1('1606305600.3', '1', '5');
    const { frames, faults, layouts } = decode(text);
    expect(frames.slice(1)).toEqual([
      [1_606_305_600_200_000, 1, 4],
      [1_606_305_600_300_000, 1, 5],
    ]);
    expect(faults).toEqual(['other columns']);
    expect(layouts.map(({ columns }) => columns)).toEqual([3, 2]);
  });

  it('may come with the other format: a reader was replaced', () => {
    const text = `${v1('1606305600.0', '1', '2')}${V3_HEADER}1671527189.3,true,230,0,0,0.1,20.9,0.2,41.8\n`;
    expect(decode(text).frames).toEqual([
      [1_606_305_600_000_000, 1, 2],
      [1_671_527_189_300_000, 20.9, 41.8],
    ]);
  });
});

describe('any frame', () => {
  it('is read as its fields say, in chunks of any size (1,000 random streams)', () => {
    const dice = random(7);
    const next = () => dice() / 2 ** 32;
    for (let run = 0; run < 1_000; run++) {
      const ports = 1 + Math.floor(next() * 50);
      const frames = Array.from({ length: 1 + Math.floor(next() * 5) }, () => {
        const seconds = 1_000_000_000 + Math.floor(next() * 3e9);
        const micros = Math.floor(next() * 1e6);
        const nanos = String(Math.floor(next() * 1000)).padStart(3, '0');
        const watts = Array.from({ length: ports }, () =>
          next() < 0.1 ? '' : (next() * 4000 - 100).toFixed(Math.floor(next() * 7)),
        );
        const time = `${seconds}.${String(micros).padStart(6, '0')}${nanos}`;
        const expected = [
          seconds * 1e6 + micros + Number(nanos >= '500'),
          ...watts.map((watt) => (watt === '' ? null : Number(watt))),
        ];
        return { time, watts, expected };
      });
      const isV3 = next() < 0.5;
      const text = frames
        .map(({ time, watts }) =>
          isV3
            ? `${time},true,230,0,0,${watts.map((watt) => `0.1,${watt}`).join(',')}\n`
            : v1(time, ...watts),
        )
        .join('');
      const chunk = [1, 5, 17, 100, 4096][Math.floor(next() * 5)];
      expect(decode(text, chunk).frames).toEqual(frames.map(({ expected }) => expected));
    }
  });
});
