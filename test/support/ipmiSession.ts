/** Sessions with BMCs for tests. */
import type { TraceStep } from '../../src/lib/devices/driver.ts';
import type { BmcTimings } from '../../src/lib/devices/ipmi/bmc.ts';
import { IpmiError } from '../../src/lib/devices/ipmi/errors.ts';
import { type IpmiRequest, IpmiSession } from '../../src/lib/devices/ipmi/session.ts';
import { parseIpmiUrl } from '../../src/lib/devices/ipmi/url.ts';

export const GET_DEVICE_ID: IpmiRequest = { netFn: 6, command: 1 };
export const getSensorReading = (sensor: number): IpmiRequest => ({
  netFn: 4,
  command: 0x2d,
  data: Uint8Array.of(sensor),
});

export interface SessionOptions extends Partial<BmcTimings> {
  readonly user?: string;
  readonly password?: string;
  /** Behind `?`. */
  readonly query?: string;
  trace?(step: TraceStep): void;
}

/** A session for the user root, unless the options say otherwise. */
export function sessionWith(
  bmc: { readonly address: string; readonly port: number },
  { user = 'root', password = 'calvin', query, trace, ...timings }: SessionOptions = {},
): IpmiSession {
  const text = `ipmisensor://${encodeURIComponent(user)}:${encodeURIComponent(password)}@${bmc.address}:${bmc.port}/x${query ? `?${query}` : ''}`;
  const url = parseIpmiUrl(text, { resolveSecret: (secret) => secret });
  const context = {
    nowUs: () => Date.now() * 1000,
    isConfiguredMetric: () => false,
    ...(trace && { trace }),
  };
  return new IpmiSession(url, context, timings);
}

/** `kind: message` of the error with which a request must end. */
export async function failureOf(request: Promise<unknown>): Promise<string> {
  try {
    await request;
  } catch (error) {
    if (error instanceof IpmiError) return `${error.kind}: ${error.message}`;
    throw error;
  }
  throw new Error('the request succeeded');
}
