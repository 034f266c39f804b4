/** Names that mean something to JavaScript, CSV or JSON are names like others, all the way from a push to a query. */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import { runKw } from '../../support/runKw.ts';

const SEED = 20_261_122;
const KNOWN = [
  ...[
    'constructor',
    'prototype',
    'toString',
    'valueOf',
    'hasOwnProperty',
    'length',
    'name',
    '0',
    '-1',
    '4294967295',
  ],
  ...[
    'a"b',
    "a'b",
    'a,b',
    'a=b',
    'a\\b',
    '{a}',
    'labels',
    'timestamp',
    'label.x',
    'é 電力 😀',
    '\u202e',
    'NaN',
    'null',
  ],
];
/** kw's own: removed and counted. */
const REMOVED = ['__proto__', '__defineGetter__', '_pushed_by', '_device_alias'];

/** Text that a label of CSV can be called: its header is trimmed, and its lines end at line breaks. */
const anyName = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
  .filter(
    (name) => name.trim() === name && !name.startsWith('_') && !/[\0\n\r]/.test(name) && name.isWellFormed(),
  );
const NAMES = [...new Set([...KNOWN, ...fc.sample(anyName, { seed: SEED, numRuns: 60 })])];

const csv = (fields: readonly string[]) =>
  fields.map((field) => `"${field.replaceAll('"', '""')}"`).join(',');

/** Fields of CSV without line breaks in them. */
function parseCsv(text: string): string[][] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) =>
      [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^",]*))/g)].map(
        ([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? '',
      ),
    );
}

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db.drop());
const kw = async (args: readonly string[], input?: string) => {
  const result = await runKw(args, {
    env: { KW_DATABASE_URL: db.url },
    ...(input === undefined ? {} : { input }),
  });
  if (result.code !== 0) throw new Error(result.stderr);
  return result;
};

type Row = [device: string, metric: string, value: number, labels: [string, unknown][]];
const sorted = (rows: Row[]) =>
  rows
    .map(([device, metric, value, labels]) =>
      JSON.stringify([device, metric, value, labels.filter(([name]) => name !== '_pushed_by').sort()]),
    )
    .sort();

test('they are stored and shown as they are, from NDJSON and CSV, in CSV, JSON, NDJSON and --wide', async () => {
  const labels = (value: string) =>
    Object.fromEntries([...REMOVED, ...NAMES.slice(0, 14)].map((name) => [name, value]));
  const lines = NAMES.map((name, index) =>
    JSON.stringify({ device_id: name, metric_id: name, value: index, labels: labels(name) }),
  );
  expect((await kw(['push'], lines.join('\n'))).stderr).toBe(
    `stored ${NAMES.length} values, removed ${NAMES.length * REMOVED.length} labels that begin with _\n`,
  );
  const columns = [...REMOVED, ...NAMES].map((name) => `label.${name}`);
  const header = csv(['device_id', 'metric_id', 'value', ...columns]);
  // A field that is empty is no label: each row has one of its own, and all that are removed.
  const records = NAMES.map((name, index) =>
    csv([
      name,
      'csv',
      String(index),
      ...REMOVED.map(() => 'x'),
      ...NAMES.map((other) => (other === name ? 'x' : '')),
    ]),
  );
  expect((await kw(['push', '--format', 'csv'], [header, ...records].join('\n'))).stderr).toBe(
    `stored ${NAMES.length} values, removed ${NAMES.length * REMOVED.length} labels that begin with _\n`,
  );

  const pushed: Row[] = NAMES.flatMap((name, index): Row[] => [
    [name, name, index, NAMES.slice(0, 14).map((label) => [label, name])],
    [name, 'csv', index, [[name, 'x']]],
  ]);
  const fromObjects = (objects: Record<string, unknown>[]) =>
    objects.map(
      ({ device_id, metric_id, value, labels }): Row => [
        String(device_id),
        String(metric_id),
        Number(value),
        Object.entries(labels as object),
      ],
    );
  const asCsv = parseCsv((await kw(['query', '--format', 'csv'])).stdout);
  expect(asCsv[0]).toEqual(['timestamp', 'device_id', 'metric_id', 'value', 'labels']);
  expect(
    sorted(
      asCsv.slice(1).map(([, device = '', metric = '', value, json = '']): Row => {
        return [device, metric, Number(value), Object.entries(JSON.parse(json) as object)];
      }),
    ),
  ).toEqual(sorted(pushed));
  const asJson = JSON.parse((await kw(['query', '--format', 'json'])).stdout);
  expect(sorted(fromObjects(asJson))).toEqual(sorted(pushed));
  const asLines = (await kw(['query', '--format', 'ndjson'])).stdout.trimEnd().split('\n');
  expect(sorted(fromObjects(asLines.map((line) => JSON.parse(line))))).toEqual(sorted(pushed));

  // A device and metric that stand in both pushes (the device called csv) have a column for each label set.
  const wanted = pushed.map(([device, metric, value]) => `${device}/${metric}=${value}`).sort();
  const cells = (entries: [string, unknown][]) =>
    entries.flatMap(([name, value]) =>
      name === 'timestamp' || value === '' || value === null ? [] : [`${name}=${value}`],
    );
  const [names = [], ...rows] = parseCsv((await kw(['query', '--wide', '--format', 'csv'])).stdout);
  expect(rows.flatMap((row) => cells(names.map((name, column) => [name, row[column]]))).sort()).toEqual(
    wanted,
  );
  const wide = JSON.parse((await kw(['query', '--wide', '--format', 'json'])).stdout) as object[];
  expect(wide.flatMap((row) => cells(Object.entries(row))).sort()).toEqual(wanted);
});
