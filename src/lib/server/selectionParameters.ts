/** `devices`, `metrics`, `labels`, `from` and `to` as kw's own routes have them: patterns as on the command line. */
import type { Client } from 'pg';
import { resolveSelection, type Selection } from '../metrics/selection.ts';
import type { ParameterDescription } from './openapi.ts';
import type { RawParameters } from './parameters.ts';
import { HttpProblem } from './problem.ts';

export const SELECTION_PARAMETERS = ['devices', 'metrics', 'labels', 'from', 'to'] as const;

/** For the OpenAPI document. */
export const SELECTION_DESCRIPTIONS: Readonly<Record<string, ParameterDescription>> = {
  devices: { type: 'string', description: 'devices and aliases, a list', example: 'node-1,node-2' },
  metrics: { type: 'string', description: 'metrics or patterns with `*`, a list', example: 'wattmetre_*' },
  labels: { type: 'string', description: 'only series with this label', example: 'mode=idle' },
};
export const TIME_DESCRIPTIONS: Readonly<Record<string, ParameterDescription>> = {
  from: {
    type: 'string',
    description: 'begin: ISO 8601, epoch seconds, -2h; default 5 minutes before the end',
  },
  to: { type: 'string', description: 'end; default now' },
};

/** A parameter that may be given several times. */
export function manyOf(raw: RawParameters, name: string): string[] | undefined {
  const value = raw[name];
  const items = (Array.isArray(value) ? value : [value]).filter((item) => item !== undefined && item !== '');
  if (items.length === 0) return undefined;
  if (items.every((item) => typeof item === 'string')) return items;
  throw new HttpProblem(400, 'BAD_PARAMETER', `${name}: is not a text`);
}

/** @throws KwError and HttpProblem 400 */
export async function selectionOf(
  client: Client,
  raw: RawParameters,
  { nowUs, timeZone }: { nowUs: number; timeZone: string | undefined },
): Promise<Selection> {
  const devices = manyOf(raw, 'devices');
  if (devices === undefined) {
    throw new HttpProblem(400, 'NO_SELECTION', 'devices is missing', { hint: 'write devices=node-1,node-2' });
  }
  const request = {
    devices,
    metrics: manyOf(raw, 'metrics'),
    labels: manyOf(raw, 'labels'),
    from: onlyOne(raw, 'from'),
    to: onlyOne(raw, 'to'),
    timeZone,
  };
  return await resolveSelection(client, request, nowUs);
}

function onlyOne(raw: RawParameters, name: string): string | undefined {
  const many = manyOf(raw, name);
  if (many === undefined || many.length === 1) return many?.[0];
  throw new HttpProblem(400, 'BAD_PARAMETER', `${name}: is given several times`);
}
