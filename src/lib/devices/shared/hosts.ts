/**
 * Addresses of device host names. A name is looked up once and then kept: a look-up a poll costs more than the
 * poll, and getaddrinfo has four threads for the whole process, which a dead name server would fill.
 *
 *   lookup --found--> addresses, looked up again in the background after REFRESH_MS or when the device fails
 *   lookup --failed-> an error, kept for a back-off of RETRY_MS, doubling to RETRY_MAX_MS
 *
 * While a look-up is under way or fails, the last addresses stay in use.
 */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { canonicalIPv6 } from './ipAddress.ts';

const REFRESH_MS = 300_000;
/** After a failed poll, no more often than this. */
const REFRESH_FAILED_MS = 30_000;
const RETRY_MS = 5_000;
const RETRY_MAX_MS = 60_000;

export interface Address {
  readonly address: string;
  readonly family: 4 | 6;
}

type Lookup = (host: string) => Promise<readonly Address[]>;

/** One host of one session. */
export class Host {
  readonly #name: string;
  readonly #lookup: Lookup;
  #addresses: readonly Address[] = [];
  #index = 0;
  #error: string | undefined;
  #lookedUpAtMs = Number.NEGATIVE_INFINITY;
  #retryMs = RETRY_MS;
  #pending: Promise<void> | undefined;

  constructor(name: string, lookUp: Lookup = systemLookup) {
    this.#name = name;
    this.#lookup = lookUp;
    const family = isIP(name.replace(/%.*/, ''));
    if (family === 4) this.#addresses = [{ address: name, family }];
    else if (family === 6) this.#addresses = [{ address: canonicalIPv6(name), family }];
    if (family !== 0) this.#lookedUpAtMs = Number.POSITIVE_INFINITY;
  }

  /** The address to use now, or undefined when `resolve` must come first. */
  current(): Address | undefined {
    if (performance.now() - this.#lookedUpAtMs > REFRESH_MS) void this.#refresh();
    return this.#addresses[this.#index];
  }

  /** Looks the name up, unless that failed a moment ago. Never rejects. Returns why there is no address. */
  async resolve(): Promise<string | undefined> {
    if (performance.now() - this.#lookedUpAtMs > this.#retryMs) await this.#refresh();
    else if (this.#pending) await this.#pending;
    return this.#addresses.length > 0 ? undefined : (this.#error ?? 'the name is being looked up');
  }

  /** The device did not answer at this address: try its next one, and look the name up again. */
  failed(): void {
    if (this.#addresses.length > 1) this.#index = (this.#index + 1) % this.#addresses.length;
    if (performance.now() - this.#lookedUpAtMs > REFRESH_FAILED_MS) void this.#refresh();
  }

  #refresh(): Promise<void> {
    this.#pending ??= this.#lookUp().finally(() => {
      this.#pending = undefined;
    });
    return this.#pending;
  }

  async #lookUp(): Promise<void> {
    this.#lookedUpAtMs = performance.now();
    try {
      const found = await this.#lookup(this.#name);
      if (found.length === 0) throw new Error('no address');
      const before = this.#addresses[this.#index]?.address;
      this.#addresses = found;
      this.#index = Math.max(
        0,
        found.findIndex((one) => one.address === before),
      );
      this.#error = undefined;
      this.#retryMs = RETRY_MS;
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'no address';
      this.#error =
        code === 'ENOTFOUND' ? 'no such host name' : `the host name cannot be looked up (${code})`;
      this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MAX_MS);
    }
  }
}

async function systemLookup(host: string): Promise<readonly Address[]> {
  const found = await lookup(host, { all: true, verbatim: true });
  return found.map(({ address, family }) =>
    family === 6 ? { address: canonicalIPv6(address), family } : { address, family: 4 },
  );
}
