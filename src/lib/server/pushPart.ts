/** Rows of `kw push` as they come in one request, and what of them was refused. */
import type { PushRow, Refusal } from '../push/pushRow.ts';
import type { PushAnswer, PushPart } from '../remote/remoteStore.ts';

/** Their lines are their places in the part, from 1. */
export function partRows({ timestampsUs, devices, metrics, values, labels }: PushPart): PushRow[] {
  return timestampsUs.map((timestampUs, index) => ({
    line: index + 1,
    timestampUs,
    deviceId: devices[index] ?? '',
    metricId: metrics[index] ?? '',
    value: Number(values[index]),
    labels: labels[index] ?? {},
    removedLabels: 0,
  }));
}

export function refusalsOf(refusals: readonly Refusal[]): PushAnswer['refusals'] {
  return refusals.map(({ line, reason }) => [line - 1, reason] as const);
}
