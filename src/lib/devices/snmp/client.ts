/**
 * Requests to one agent: attempts, time-outs and the security of the version. Everything that can go wrong is
 * a value of `Outcome`; nothing here rejects.
 *
 * An exchange sends an attempt each `stepMs`, each with a new request id, until one is answered or the
 * deadline has come. The answer to any of its attempts counts, so that an agent slower than a step is still
 * read, and its time is that of the attempt that was answered.
 */
import { createSocket } from 'node:dgram';
import type { Problem, ProblemKind, SessionContext } from '../driver.ts';
import { type Address, Host } from '../shared/hosts.ts';
import {
  BerReader,
  encodeCommunityMessage,
  patchId,
  type RequestPdu,
  Response,
  readCommunityMessage,
} from './codec.ts';
import { SnmpTrace } from './trace.ts';
import { type Exchange, MAX_ATTEMPTS, type Strays, type UdpTransport } from './transport.ts';
import type { SnmpUrl } from './url.ts';
import { UsmEngine } from './usm.ts';

/** A refusal (ICMP) is looked for once in this time, on a socket of its own. */
const REFUSAL_CHECK_MS = 10_000;
/** The shared socket shows no ICMP errors; a connected one does. */
const REFUSAL_WAIT_MS = 1_000;

export interface Failure {
  readonly kind: ProblemKind;
  readonly message: string;
}

/** How an exchange ended. On success the answer is in the request's `response`. */
export type Outcome = { readonly ok: true } | { readonly ok: false; readonly failure: Failure };
const SUCCESS: Outcome = { ok: true };
type OnOutcome = (outcome: Outcome) => void;

/** Something to ask, encoded once and asked many times; never twice at the same time. */
export class SnmpRequest {
  readonly pdu: RequestPdu;
  /** v1 and v2c: the whole message, in which only the id changes. */
  readonly message: Buffer | undefined;
  readonly messageIdOffset: number;
  readonly response: Response;
  /** Wall clock around the attempt that was answered, in microseconds. */
  sentUs = 0;
  receivedUs = 0;
  /** Datagrams that the last exchange sent. */
  attempts = 0;
  /** Kept from one asking to the next. */
  exchange: ClientExchange | undefined;

  constructor(url: SnmpUrl, pdu: RequestPdu, capacity: number) {
    this.pdu = pdu;
    this.response = new Response(capacity);
    const message =
      url.version === '3' ? undefined : encodeCommunityMessage(url.version, url.community ?? '', pdu);
    this.message = message?.bytes;
    this.messageIdOffset = message?.idOffset ?? 0;
  }
}

export type ClientContext = Pick<SessionContext, 'nowUs' | 'trace'>;

export class SnmpClient {
  readonly url: SnmpUrl;
  readonly engine: UsmEngine | undefined;
  readonly transport: UdpTransport;
  readonly nowUs: () => number;
  readonly trace: SnmpTrace | undefined;
  /** Whether the last exchange was answered. */
  isUp = false;
  readonly #host: Host;
  /** Mostly one, sometimes a walk beside it. */
  readonly #open: ClientExchange[] = [];
  #watched: { address: Address; strays: Strays } | undefined;
  #closed = false;
  #refusalCheckedAtMs = Number.NEGATIVE_INFINITY;
  #refused: string | undefined;
  #endRefusalCheck: (() => void) | undefined;

  constructor(url: SnmpUrl, transport: UdpTransport, { nowUs, trace }: ClientContext) {
    this.url = url;
    this.transport = transport;
    this.nowUs = nowUs;
    this.trace = trace && new SnmpTrace(url, trace);
    this.engine = url.user ? new UsmEngine(url.user) : undefined;
    this.#host = new Host(url.host);
    transport.open();
  }

  /** The address in use, for people; undefined before the name is known. */
  get address(): string | undefined {
    return this.#watched?.address.address;
  }

  /** As `start`, with a promise. */
  ask(request: SnmpRequest, deadlineMs: number, stepMs: number): Promise<Outcome> {
    return new Promise((resolve) => this.start(request, deadlineMs, stepMs, resolve));
  }

  /**
   * Asks once: attempts each `stepMs` until `deadlineMs` of performance.now(). The request must not be under way
   * already. `done` is called once, possibly at once: of a poll of one value each promise is a noticeable part.
   */
  start(request: SnmpRequest, deadlineMs: number, stepMs: number, done: OnOutcome): void {
    const target = this.#closed ? undefined : this.#host.current();
    if (this.#closed) done(closedOutcome());
    else if (target) this.#exchange(request, target, deadlineMs, stepMs, done);
    else void this.#startUnresolved(request, deadlineMs, stepMs, done);
  }

  /** Ignored datagrams from this agent since the last call, as one problem. */
  takeStrays(): Problem | undefined {
    const strays = this.#watched?.strays;
    if (!strays || strays.unmatched + strays.malformed === 0) return undefined;
    const parts: string[] = [];
    if (strays.unmatched > 0) parts.push(`${strays.unmatched} late, repeated or with an unknown request id`);
    if (strays.malformed > 0) parts.push(`${strays.malformed} malformed`);
    const count = strays.unmatched + strays.malformed;
    strays.unmatched = 0;
    strays.malformed = 0;
    return { kind: 'protocol', message: `answers ignored: ${parts.join(', ')}`, count };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#endRefusalCheck?.();
    for (const exchange of [...this.#open]) exchange.finish(closedOutcome());
    if (this.#watched) this.transport.unwatch(this.#watched.address, this.url.port);
    this.transport.close();
    this.trace?.closed();
  }

  /**
   * Looks for "connection refused" with a connected socket, in the background and rarely. The shared socket
   * serves many agents and is told nothing about one of them.
   */
  checkRefusal(target: Address, message: Buffer): void {
    if (this.#endRefusalCheck) return;
    const nowMs = performance.now();
    if (nowMs - this.#refusalCheckedAtMs < REFUSAL_CHECK_MS) return;
    this.#refusalCheckedAtMs = nowMs;
    const socket = createSocket(target.family === 4 ? 'udp4' : 'udp6');
    let isDone = false;
    const end = (refused: string | undefined) => {
      if (isDone) return;
      isDone = true;
      clearTimeout(timer);
      socket.close();
      this.#endRefusalCheck = undefined;
      this.#refused = refused;
      if (refused) for (const exchange of [...this.#open]) exchange.finish(refusedOutcome(this, refused));
    };
    const timer = setTimeout(end, REFUSAL_WAIT_MS, undefined);
    this.#endRefusalCheck = () => end(undefined);
    socket.on('error', (error) => end('code' in error ? String(error.code) : 'the socket failed'));
    socket.on('message', () => end(undefined));
    socket.connect(this.url.port, target.address, (error?: Error) => {
      if (error) end('code' in error ? String(error.code) : 'the socket failed');
      else if (!isDone) socket.send(message);
    });
  }

  /** Why the agent cannot be reached, as the last look found. */
  get refused(): string | undefined {
    return this.#refused;
  }

  #exchange(
    request: SnmpRequest,
    target: Address,
    deadlineMs: number,
    stepMs: number,
    done: OnOutcome,
  ): void {
    if (this.#watched?.address.address !== target.address) this.#watch(target);
    request.exchange ??= new ClientExchange(this, request);
    this.#open.push(request.exchange);
    request.exchange.start(target, deadlineMs, stepMs, done);
  }

  async #startUnresolved(
    request: SnmpRequest,
    deadlineMs: number,
    stepMs: number,
    done: OnOutcome,
  ): Promise<void> {
    const target = await this.#resolve(deadlineMs);
    if ('failure' in target) {
      this.trace?.failed(target.failure, false);
      done({ ok: false, failure: target.failure });
    } else if (this.#closed) done(closedOutcome());
    else this.#exchange(request, target, deadlineMs, stepMs, done);
  }

  /** An exchange is over: what it says about the agent. */
  ended(exchange: ClientExchange, outcome: Outcome): void {
    this.#open.splice(this.#open.indexOf(exchange), 1);
    this.isUp = outcome.ok;
    if (!outcome.ok) this.trace?.failed(outcome.failure, true);
    if (outcome.ok) this.#refused = undefined;
    else if (outcome.failure.kind === 'timeout' || outcome.failure.kind === 'refused') this.#host.failed();
  }

  #watch(address: Address): void {
    if (this.#watched) this.transport.unwatch(this.#watched.address, this.url.port);
    this.#watched = { address, strays: this.transport.watch(address, this.url.port) };
    this.trace?.resolved(address);
  }

  async #resolve(deadlineMs: number): Promise<Address | { failure: Failure }> {
    const timer = new AbortController();
    const late = new Promise<string>((resolve) => {
      const timeout = setTimeout(resolve, deadlineMs - performance.now(), 'the name server does not answer');
      timer.signal.addEventListener('abort', () => clearTimeout(timeout));
    });
    const error = await Promise.race([this.#host.resolve(), late]);
    timer.abort();
    const address = this.#host.current();
    if (address) return address;
    return { failure: { kind: 'refused', message: `${this.url.host}: ${error ?? 'no address'}` } };
  }
}

/** One for all: an answer is read without a pause. */
const reader = new BerReader();

const NOWHERE: Address = { address: '', family: 4 };

/** One request on its way: started again for each asking, so that a poll makes nothing new. */
class ClientExchange implements Exchange {
  target: Address = NOWHERE;
  readonly port: number;
  dueMs = 0;
  readonly #client: SnmpClient;
  readonly #request: SnmpRequest;
  #deadlineMs = 0;
  #stepMs = 0;
  #startedMs = 0;
  #done: OnOutcome = () => {};
  readonly #sentUs = new Float64Array(MAX_ATTEMPTS);
  #firstId = 0;
  #attempts = 0;
  /** Attempts that a time-out, not a report, caused. */
  #tries = 0;
  #broken = 0;
  #isDone = true;

  constructor(client: SnmpClient, request: SnmpRequest) {
    this.#client = client;
    this.#request = request;
    this.port = client.url.port;
  }

  start(target: Address, deadlineMs: number, stepMs: number, done: OnOutcome): void {
    this.target = target;
    this.#deadlineMs = deadlineMs;
    this.#stepMs = stepMs;
    this.#startedMs = performance.now();
    this.#done = done;
    this.#attempts = 0;
    this.#tries = 0;
    this.#broken = 0;
    this.#isDone = false;
    this.#firstId = this.#client.transport.register(this);
    this.#try(this.#startedMs);
  }

  /** Sends the next attempt and waits for a step, or what is left of the time. */
  #try(nowMs: number): void {
    const leftMs = this.#deadlineMs - nowMs;
    if (leftMs <= 0) {
      this.finish(this.#timedOut());
      return;
    }
    this.#tries++;
    this.dueMs = nowMs + Math.min(this.#stepMs, leftMs);
    this.#client.transport.wakeAt(this.dueMs, nowMs);
    this.#send();
    if (this.#tries === 2) this.#client.checkRefusal(this.target, Buffer.from(this.#message(0)));
  }

  onDue(nowMs: number): void {
    // Behind the last third only the deadline is waited for: an attempt then would hardly be answered.
    if (this.#deadlineMs - nowMs < this.#stepMs / 2) this.finish(this.#timedOut());
    else this.#try(nowMs);
  }

  #send(): void {
    if (this.#attempts >= MAX_ATTEMPTS) return;
    const attempt = this.#attempts++;
    this.#sentUs[attempt] = this.#client.nowUs();
    const message = this.#message(attempt);
    this.#client.trace?.sent(this.#request.pdu, message.length, this.#tries, this.#client.engine);
    this.#client.transport.send(this, message);
  }

  #message(attempt: number): Buffer {
    const { engine } = this.#client;
    const { message, messageIdOffset, pdu } = this.#request;
    const id = this.#firstId + attempt;
    if (engine) return engine.wrap(pdu, id);
    const bytes = message as Buffer;
    patchId(bytes, messageIdOffset, id);
    return bytes;
  }

  receive(datagram: Buffer, attempt: number): void {
    const receivedUs = this.#client.nowUs();
    const { engine, url } = this.#client;
    const { response } = this.#request;
    if (attempt >= this.#attempts) {
      this.#broken++;
      return;
    }
    if (engine) {
      const verdict = engine.unwrap(datagram, reader, response);
      if (verdict === 'learnt') {
        this.#client.trace?.learnt(engine);
        this.#send();
        return;
      }
      if (verdict === 'invalid') {
        this.#broken++;
        return;
      }
      if (verdict !== 'response') {
        this.finish({ ok: false, failure: { kind: 'auth', message: USM_MESSAGES[verdict] } });
        return;
      }
    } else if (!readCommunityMessage(reader, datagram, url.version === '1' ? '1' : '2c', response)) {
      this.#broken++;
      return;
    }
    if (response.requestId !== this.#firstId + attempt) {
      this.#broken++;
      return;
    }
    this.#request.sentUs = this.#sentUs[attempt] as number;
    this.#request.receivedUs = receivedUs;
    this.#client.trace?.answered(response, datagram.length, (receivedUs - this.#request.sentUs) / 1000);
    this.finish(SUCCESS);
  }

  finish(outcome: Outcome): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#client.transport.unregister(this.#firstId);
    this.#request.attempts = this.#attempts;
    this.#client.ended(this, outcome);
    // The last thing: it may start this exchange again.
    this.#done(outcome);
  }

  #timedOut(): Outcome {
    const { url, refused, engine } = this.#client;
    if (this.#broken > 0)
      return {
        ok: false,
        failure: {
          kind: 'protocol',
          message: `${url.hostPort} answered ${this.#broken} times, but with nothing that is a sound answer`,
        },
      };
    if (refused) return refusedOutcome(this.#client, refused);
    const hint = engine ? '' : '; a wrong community is not answered either';
    const elapsedMs = Math.round(performance.now() - this.#startedMs);
    return {
      ok: false,
      failure: {
        kind: 'timeout',
        message: `no answer from ${url.hostPort} within ${elapsedMs} ms (${this.#attempts} attempts${hint})`,
      },
    };
  }
}

/** What the agent said about the user (RFC 3414 section 5). */
const USM_MESSAGES = {
  unsupportedSecLevels: 'the agent does not offer this user this security level',
  unknownUserNames: 'the agent does not know this user',
  wrongDigests: 'wrong auth key or protocol',
  decryptionErrors: 'wrong priv key or protocol',
} as const;

function refusedOutcome(client: SnmpClient, code: string): Outcome {
  const what = code === 'ECONNREFUSED' ? 'nothing listens there' : `unreachable (${code})`;
  return { ok: false, failure: { kind: 'refused', message: `${client.url.hostPort}: ${what}` } };
}

function closedOutcome(): Outcome {
  return { ok: false, failure: { kind: 'timeout', message: 'the session was closed' } };
}
