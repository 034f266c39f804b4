import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  COPY_HEADER,
  COPY_TRAILER,
  decodeRow,
  makeTemplate,
  RowGroup,
  rowOffsets,
  TemplateCache,
} from '../../../src/lib/database/rowEncoder.ts';
import type { Sample, Series } from '../../../src/lib/sample.ts';

function encode(samples: readonly Sample[], group = new RowGroup()): Buffer {
  const templates = samples.map(({ series }) => templateOf(series));
  const size = templates.reduce((sum, template) => sum + template.length, 0);
  const copy = Buffer.alloc(COPY_HEADER.length + size + COPY_TRAILER.length);
  const view = new DataView(copy.buffer, copy.byteOffset, copy.byteLength);
  for (const { series, timestampUs, value } of samples) {
    group.add(series, group.expected(series) ?? templateOf(series), timestampUs, value);
  }
  const end = group.write(copy, view, COPY_HEADER.copy(copy));
  COPY_TRAILER.copy(copy, end);
  return copy;
}

const templates = new WeakMap<Series, Uint8Array>();

function templateOf(series: Series): Uint8Array {
  const template = templates.get(series) ?? makeTemplate(series);
  templates.set(series, template);
  return template;
}

function decode(copy: Buffer): Sample[] {
  return rowOffsets(copy)
    .slice(0, -1)
    .map((offset) => decodeRow(copy, offset));
}

describe('rowEncoder', () => {
  it('writes the bytes that PostgreSQL documents', () => {
    const copy = encode([
      {
        series: { deviceId: 'pdu-1', metricId: 'watt', labels: { outlet: 'é' } },
        timestampUs: 946_684_800_000_000 + 1_000_001,
        value: 1.5,
      },
    ]);
    expect(copy.toString('hex')).toBe(
      [
        '5047434f50590aff0d0a00', // PGCOPY\n\377\r\n\0
        '00000000', // flags
        '00000000', // no extension
        '0005',
        '00000008',
        '00000000000f4241', // 1,000,001 us after 2000-01-01
        '00000008',
        '3ff8000000000000', // 1.5
        '00000005',
        '7064752d31', // pdu-1
        '00000004',
        '77617474', // watt
        '00000010',
        '017b226f75746c6574223a22c3a9227d', // version 1, {"outlet":"é"}
        'ffff',
      ].join(''),
    );
  });

  it('reads back whatever it wrote, to the microsecond and to the bit', () => {
    const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 });
    const sample: fc.Arbitrary<Sample> = fc.record({
      series: fc.record({
        deviceId: name,
        metricId: name,
        labels: fc.dictionary(name, fc.string({ unit: 'grapheme', maxLength: 40 }), {
          maxKeys: 4,
          noNullPrototype: true,
        }),
      }),
      timestampUs: fc.integer({ min: -(2 ** 52), max: 2 ** 53 - 1 }),
      value: fc.double(),
    });
    fc.assert(
      fc.property(fc.array(sample, { maxLength: 20 }), (samples) => {
        expect(decode(encode(samples))).toEqual(samples);
      }),
      { numRuns: 500, seed: 42 },
    );
  });

  it('keeps NaN, both infinities and minus zero', () => {
    const series = { deviceId: 'd', metricId: 'm', labels: {} };
    const values = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0];
    const samples = values.map((value) => ({ series, timestampUs: 1_800_000_000_123_456, value }));
    expect(decode(encode(samples))).toEqual(samples);
  });
});

describe('RowGroup', () => {
  it('writes the same whether a device is read as before or not', () => {
    const series = Array.from({ length: 6 }, (_, index) => ({
      deviceId: 'pdu-1',
      metricId: `watt${index}`,
      labels: { length: 'x'.repeat(index * 7) },
    }));
    const reading = fc.array(
      fc.record({
        series: fc.constantFrom(...series),
        timestampUs: fc.integer({ min: 1e15, max: 2e15 }),
        value: fc.double(),
      }),
      { maxLength: 6 },
    );
    const turns = fc.array(fc.tuple(reading, fc.integer({ min: 1, max: 4 })), { maxLength: 6 });
    fc.assert(
      fc.property(turns, (readings) => {
        const group = new RowGroup();
        for (const [samples, times] of readings) {
          for (let time = 0; time < times; time++) {
            const now = samples.map((sample) => ({ ...sample, timestampUs: sample.timestampUs + time }));
            expect(decode(encode(now, group))).toEqual(now);
          }
        }
      }),
      { numRuns: 300, seed: 42 },
    );
  });
});

describe('TemplateCache', () => {
  it('encodes a series once, and tells when it is new', () => {
    const cache = new TemplateCache();
    const seen: string[] = [];
    const series = { deviceId: 'pdu-1', metricId: 'watt', labels: {} };
    const first = cache.get(series, ({ metricId }) => seen.push(metricId));
    expect(cache.get(series, ({ metricId }) => seen.push(metricId))).toBe(first);
    expect(seen).toEqual(['watt']);
  });

  it.each([
    [{ deviceId: '', metricId: 'm', labels: {} }, 'the device name is empty'],
    [{ deviceId: 'd', metricId: 'a\0b', labels: {} }, 'the metric name contains a NUL character'],
    [{ deviceId: '\ud800', metricId: 'm', labels: {} }, 'the device name is not valid Unicode'],
    [
      { deviceId: 'd', metricId: 'é'.repeat(128), labels: {} },
      'the metric name has 256 bytes, and at most 255 can be stored',
    ],
    [{ deviceId: 'd', metricId: 'm', labels: { a: 'x\0' } }, 'a label contains a NUL character'],
    [
      { deviceId: 'd', metricId: 'm', labels: { a: 'x'.repeat(1020) } },
      'the labels have 1028 bytes as JSON, and at most 1024 can be stored',
    ],
  ])('refuses %j', (series, problem) => {
    expect(new TemplateCache().get(series)).toBe(problem);
  });
});
