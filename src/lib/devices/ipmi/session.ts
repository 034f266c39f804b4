/**
 * Requests to the BMC of a URL. Sessions of equal URLs, and URLs whose hosts have one address, share the BMC and its
 * session. The RMCP+ session is opened by the first request, and again whenever it was lost.
 */
import type { Fact, SessionContext } from '../driver.ts';
import { type Address, Host } from '../shared/hosts.ts';
import { Bmc, type BmcTimings, type Client, type IpmiReply, type LoginState } from './bmc.ts';
import { ClosedError, IpmiError } from './errors.ts';
import type { IpmiRequest } from './lanMessage.ts';
import type { IpmiUrl } from './url.ts';

export type { IpmiReply } from './bmc.ts';
export type { IpmiRequest } from './lanMessage.ts';

/** The BMCs of the process by address and port, with the number of sessions that use each. */
const bmcs = new Map<string, { bmc: Bmc; users: number }>();
/** BMCs whose session is being closed: another one there waits for that. */
const closing = new Map<string, Promise<void>>();

export class IpmiSession implements Client {
  readonly #url: IpmiUrl;
  readonly #context: SessionContext;
  readonly #timings: Partial<BmcTimings>;
  readonly #host: Host;
  #bmc: Bmc | undefined;
  /** Ours, with that BMC. */
  #login: LoginState | undefined;
  #closed = false;
  /** Answers of any kind so far. */
  answers = 0;

  /** `timings`: for tests. */
  constructor(url: IpmiUrl, context: SessionContext, timings: Partial<BmcTimings> = {}) {
    this.#url = url;
    this.#context = context;
    this.#timings = timings;
    this.#host = new Host(url.host);
  }

  /**
   * Asks once; others of the same BMC wait in line. A completion code other than 0 is an answer.
   * @param timeoutMs in all: for waiting in line, opening a session, and for sending again when no answer comes
   * @throws IpmiError (rejects)
   */
  request(request: IpmiRequest, timeoutMs: number): Promise<IpmiReply> {
    const address = this.#host.current();
    if (address) return this.#ask(address, request, timeoutMs);
    return this.#resolve(timeoutMs).then(({ found, leftMs }) => this.#ask(found, request, leftMs));
  }

  /** Closes the session on the BMC, unless others use it. Requests under way are rejected. Takes a second at most. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#leave();
  }

  /** For people: where the session leads, and how it is protected. */
  describe(): readonly Fact[] {
    const facts: Fact[] = [];
    if (this.#bmc) facts.push({ name: 'address', text: this.#bmc.address.address });
    if (this.#bmc?.suite) facts.push({ name: 'session', text: this.#bmc.suite });
    return facts;
  }

  #ask(address: Address, request: IpmiRequest, timeoutMs: number): Promise<IpmiReply> {
    if (this.#closed) return Promise.reject(new ClosedError());
    if (this.#bmc?.address.address !== address.address) {
      void this.#leave();
      this.#join(address);
    }
    const bmc = this.#bmc as Bmc;
    return bmc.request(this.#login as LoginState, request, timeoutMs, this);
  }

  answered(): void {
    this.answers++;
  }

  /** Perhaps the BMC has another address by now. */
  unanswered(): void {
    this.#host.failed();
  }

  #join(address: Address): void {
    const { port, hostPort } = this.#url;
    const key = `${address.address} ${port}`;
    let entry = bmcs.get(key);
    if (!entry) {
      const bmc = new Bmc(address, port, hostPort, this.#context, this.#timings, closing.get(key));
      entry = { bmc, users: 0 };
      bmcs.set(key, entry);
    }
    entry.users++;
    this.#bmc = entry.bmc;
    const { host } = this.#url;
    const text = host === address.address ? `${host} is an address already` : `${host} is ${address.address}`;
    this.#context.trace?.({ step: 'resolve', text });
    this.#login = entry.bmc.login(this.#url.login);
  }

  async #leave(): Promise<void> {
    const bmc = this.#bmc;
    this.#bmc = undefined;
    if (!bmc) return;
    bmc.leave(this.#login as LoginState);
    const key = `${bmc.address.address} ${this.#url.port}`;
    const entry = bmcs.get(key);
    if (!entry || --entry.users > 0) return;
    bmcs.delete(key);
    const closed = bmc.close().finally(() => {
      if (closing.get(key) === closed) closing.delete(key);
    });
    closing.set(key, closed);
    await closed;
  }

  async #resolve(timeoutMs: number): Promise<{ found: Address; leftMs: number }> {
    const startedMs = performance.now();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<string>((resolve) => {
      timer = setTimeout(resolve, timeoutMs, 'the name server does not answer');
    });
    const error = await Promise.race([this.#host.resolve(), late]);
    clearTimeout(timer);
    const found = this.#host.current();
    if (!found) throw new IpmiError('refused', `${this.#url.host}: ${error ?? 'no address'}`);
    return { found, leftMs: timeoutMs - (performance.now() - startedMs) };
  }
}
