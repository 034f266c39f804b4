/** Formats and codings that requests ask for. */
import { describe, expect, it } from 'vitest';
import { formatOf } from '../../../src/lib/server/accept.ts';
import { chooseCoding } from '../../../src/lib/server/compression.ts';

describe('Accept', () => {
  it.each([
    [undefined, 'json'],
    ['*/*', 'json'],
    ['text/csv', 'csv'],
    ['application/x-ndjson', 'ndjson'],
    ['application/json, */*', 'json'],
    ['text/csv;q=0.5, application/json', 'json'],
    ['application/json;q=0.5, text/csv;q=0.9', 'csv'],
    ['text/html,application/xhtml+xml,*/*;q=0.8', 'json'],
    ['nonsense;;;=,', 'json'],
  ])('%j is %s', (accept, expected) => {
    expect(formatOf(accept)).toBe(expected);
  });
});

describe('Accept-Encoding', () => {
  it.each([
    [undefined, undefined],
    ['identity', undefined],
    ['gzip, deflate', 'gzip'],
    ['gzip, deflate, br, zstd', 'zstd'],
    ['gzip;q=1.0, zstd;q=0.5', 'gzip'],
    ['gzip;q=0', undefined],
    ['zstd;q=0, gzip', 'gzip'],
    ['identity, gzip;q=0.5', undefined],
    ['br', undefined],
    ['x-gzip', 'gzip'],
    ['gzip;q=nonsense', undefined],
  ])('%j is %s', (accept, expected) => {
    expect(chooseCoding(accept)).toBe(expected);
  });
});
