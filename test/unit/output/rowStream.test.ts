/** Rows come out of a stream as they went in, however it is cut into pieces; a stream that is cut short says so. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RowSeries, RowSink, SummaryFields } from '../../../src/lib/output/row.ts';
import { BadRowStream, RowStreamReader, RowStreamWriter } from '../../../src/lib/output/rowStream.ts';

interface Row {
  timestampUs: number;
  series: Omit<RowSeries, 'id'>;
  value: number;
  summary: SummaryFields | undefined;
}

const series: RowSeries[] = [
  { id: 0, deviceId: 'node-1', metricId: 'watts', labels: '{}' },
  { id: 3, deviceId: 'nœud', metricId: 'état', labels: '{"a":"\\u0000"}' },
  // The id of a series that is gone is used again.
  { id: 3, deviceId: 'node-2', metricId: 'state', labels: '{"value_str":"on"}' },
];

function written(rows: readonly [number, RowSeries, number, SummaryFields?][], takeEvery = 1000): Buffer {
  const writer = new RowStreamWriter();
  const taken: Buffer[] = [];
  writer.head({ units: [] });
  for (const [index, row] of rows.entries()) {
    writer.row(...row);
    if (index % takeEvery === 0) taken.push(writer.take() ?? Buffer.alloc(0));
  }
  writer.trailer({ rows: writer.rows });
  return Buffer.concat([...taken, writer.take() ?? Buffer.alloc(0)]);
}

async function read(pieces: readonly Buffer[]) {
  const rows: Row[] = [];
  const said: unknown[] = [];
  const sink: RowSink = {
    row: (timestampUs, { id: _, ...one }, value, summary) =>
      rows.push({ timestampUs, series: one, value, summary }),
    end: () => said.push('end'),
  };
  const reader = new RowStreamReader({
    head: async (head) => {
      said.push(head);
      return sink;
    },
    error: (error) => said.push(error),
    trailer: (trailer) => said.push(trailer),
  });
  for (const piece of pieces) await reader.read(piece);
  return { rows, said, ended: reader.ended };
}

function cut(bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
    bytes.subarray(at * size, (at + 1) * size),
  );
}

describe('a stream of rows', () => {
  it('keeps every double, every time and every series', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.double(), fc.nat(2), fc.double()), { maxLength: 60 }),
        fc.integer({ min: 1, max: 200 }),
        fc.integer({ min: 1, max: 20 }),
        async (made, size, takeEvery) => {
          const rows = made.map(([us, which, value]): [number, RowSeries, number] => [
            us,
            series[which] as RowSeries,
            value,
          ]);
          const { rows: came, said } = await read(cut(written(rows, takeEvery), size));
          expect(came).toEqual(
            rows.map(([timestampUs, { id: _, ...one }, value]) => ({
              timestampUs,
              series: one,
              value,
              summary: undefined,
            })),
          );
          expect(said).toEqual([{ units: [] }, 'end', { rows: rows.length }]);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('keeps the fields of the summary', async () => {
    const summary = { min: -0, max: Number.NaN, count: 3, countNotFinite: 1 };
    const { rows } = await read([written([[1.5e15, series[0] as RowSeries, 2, summary]])]);
    expect(rows[0]?.summary).toEqual(summary);
  });

  it('has no end when it was cut anywhere', async () => {
    const whole = written([
      [1, series[0] as RowSeries, 1],
      [2, series[1] as RowSeries, 2],
    ]);
    expect((await read([whole])).ended).toBe(true);
    for (let length = 0; length < whole.length; length++) {
      expect((await read([whole.subarray(0, length)])).ended).toBe(false);
    }
  });

  it('ends with an error, in place of its trailer', async () => {
    const writer = new RowStreamWriter();
    writer.head({});
    writer.row(1, series[0] as RowSeries, 1);
    writer.error({ message: 'the database is away' });
    const { said, ended, rows } = await read([writer.take() ?? Buffer.alloc(0)]);
    expect({ said, ended, rows: rows.length }).toEqual({
      said: [{}, { message: 'the database is away' }],
      ended: true,
      rows: 1,
    });
  });

  it.each([
    ['text', Buffer.from('<html><body>Bad gateway</body></html>')],
    ['a length without end', Buffer.from([0x52, 0xff, 0xff, 0xff, 0xff])],
    ['rows before the head', Buffer.from([0x52, 0, 0, 0, 0])],
    ['no JSON', Buffer.concat([Buffer.from([0x48, 1, 0, 0, 0]), Buffer.from('?')])],
    ['more behind the end', Buffer.concat([written([]), written([])])],
  ])('is none: %s', async (_, bytes) => {
    await expect(read([bytes])).rejects.toThrow(BadRowStream);
  });
});
