/**
 * One BMC as a network address: at most one session, and one request in flight, whoever asks. More of either
 * breaks BMCs.
 *
 *             request                    all messages answered
 *   none ---------------> opening ------------------------------> open --- requests, keep-alive
 *    ^                      | failed                               | ^
 *    |<---------------------'  (refused: not tried again for a     | |  answers again
 *    |                          while, which doubles)              v |
 *    |<---- closed on exit, unused, another login ---------------- doubtful: a request was not answered at all
 *    ^                                                             |
 *    '--- the BMC answers outside of the session, not inside: dead-'
 *
 * A session that is in doubt is not given up at once: the BMC may have been out of reach. As long as the BMC
 * itself is silent nothing is sent in the session, because a BMC drops packets whose numbers run ahead.
 */
import type { SessionContext } from '../driver.ts';
import type { Address } from '../shared/hosts.ts';
import { alarm, type Waiter } from './alarm.ts';
import { Asker } from './asker.ts';
import type { SecureChannel } from './channel.ts';
import { closeSession, getDeviceId } from './commands.ts';
import { ClosedError, IpmiError, isSilence, UnreachableError } from './errors.ts';
import {
  completionCode,
  encodeRequest,
  type IpmiRequest,
  isResponseTo,
  REQUEST_NUMBERS,
  responseData,
  responseNumber,
} from './lanMessage.ts';
import { Link, type LinkListener } from './link.ts';
import { askAuthCapabilities, askInside, openSession } from './opening.ts';
import type { CipherSuiteId } from './suites.ts';
import { type IpmiLogin, loginKey } from './url.ts';

export interface IpmiReply {
  /** 0 is success (section 5.2). */
  readonly completionCode: number;
  /** What follows the completion code. */
  readonly data: Buffer;
  /** Wall clock around the attempt that was answered, in microseconds. */
  readonly requestUs: number;
  readonly answerUs: number;
}

/** Times in milliseconds; tests have shorter ones. */
export interface BmcTimings {
  /**
   * An open session is used at least so often. BMCs drop a session after 60 s without a message (section 6.12.15),
   * some after 30 s.
   */
  readonly keepAliveMs: number;
  /** A session that nobody used for so long is closed: BMCs have few. */
  readonly unusedMs: number;
  /** After a refusal the BMC is left alone for so long, twice as long after each further one. */
  readonly backOffMs: number;
  readonly maxBackOffMs: number;
  /** The same after a wrong user, password or key: BMCs lock users out. */
  readonly authBackOffMs: number;
  readonly maxAuthBackOffMs: number;
}

const TIMINGS: BmcTimings = {
  keepAliveMs: 25_000,
  unusedMs: 600_000,
  backOffMs: 2_000,
  maxBackOffMs: 60_000,
  authBackOffMs: 15_000,
  maxAuthBackOffMs: 300_000,
};

/** Attempts of a request: the first, and others after a third of its time each, but no more often than this. */
const MIN_STEP_MS = 100;
const MAX_STEP_MS = 1_000;
const MAX_ATTEMPTS = 8;
/** "Node busy, try again" (section 5.2). */
const NODE_BUSY = 0xc0;
/** Attempts in a session that is in doubt, and at closing one. */
const CHECK_STEPS_MS = [250, 500];
const CLOSE_STEPS_MS = [300, 300];

/** What is remembered of a login between its sessions. */
export interface LoginState {
  readonly login: IpmiLogin;
  /** How many use it. */
  users: number;
  suite: CipherSuiteId | undefined;
  failures: number;
  /** On performance.now(). */
  retryAtMs: number;
  error: IpmiError | undefined;
}

/** Whoever asks; told before the promise of the request is settled, as each further promise a request is noticed. */
export interface Client {
  answered(): void;
  /** The BMC was silent, or cannot be reached. */
  unanswered(): void;
}

interface Job {
  readonly state: LoginState;
  readonly client: Client | undefined;
  readonly request: IpmiRequest;
  readonly startedMs: number;
  readonly deadlineMs: number;
  readonly stepMs: number;
  readonly resolve: (reply: IpmiReply) => void;
  readonly reject: (error: IpmiError) => void;
  /** Only for those that had to wait. */
  timer: NodeJS.Timeout | undefined;
  isDone: boolean;
  /** Number of the first attempt; the others follow it. */
  first: number;
  attempts: number;
  readonly sentUs: number[];
  /** The BMC answered that it is busy. */
  busy: IpmiReply | undefined;
}

export class Bmc implements LinkListener, Waiter {
  readonly address: Address;
  readonly #hostPort: string;
  readonly #context: SessionContext;
  readonly #timings: BmcTimings;
  readonly #link: Link;
  #asker: Asker;
  readonly #logins = new Map<string, LoginState>();
  readonly #queue: Job[] = [];
  #job: Job | undefined;
  #channel: SecureChannel | undefined;
  /** Whose session it is. */
  #owner: LoginState | undefined;
  #isDoubtful = false;
  /** Opening, checking or closing: requests wait. */
  #busyWith: Promise<void> | undefined;
  #requestNumber = 0;
  #closed = false;
  /** Times on performance.now(): of the last answer in the session, and of the last request of a user. */
  #heardMs = 0;
  #usedMs = 0;
  /** On performance.now(): when the request in flight is to be sent again or given up. */
  dueMs = 0;
  #aliveTimer: NodeJS.Timeout | undefined;

  constructor(
    address: Address,
    port: number,
    hostPort: string,
    context: SessionContext,
    timings: Partial<BmcTimings> = {},
    /** What must be over before there may be a session. */
    after?: Promise<void>,
  ) {
    this.address = address;
    this.#hostPort = hostPort;
    this.#context = context;
    this.#timings = { ...TIMINGS, ...timings };
    this.#link = new Link(address, port, this);
    this.#asker = this.#newAsker();
    if (after) this.#occupy(after);
  }

  /** The suite of the open session. */
  get suite(): string | undefined {
    return this.#channel?.suite.text;
  }

  /** What `request` needs to know a login by; the same for equal ones. To be given back with `leave`. */
  login(login: IpmiLogin): LoginState {
    const key = loginKey(login);
    let state = this.#logins.get(key);
    if (!state) {
      state = { login, users: 0, suite: undefined, failures: 0, retryAtMs: 0, error: undefined };
      this.#logins.set(key, state);
    }
    state.users++;
    return state;
  }

  /** A login that nobody uses any more is forgotten: passwords change while the BMC stays. */
  leave(state: LoginState): void {
    if (--state.users === 0) this.#logins.delete(loginKey(state.login));
  }

  /** Resolves or rejects (IpmiError) within `timeoutMs`, time in the queue and for opening a session included. */
  request(state: LoginState, request: IpmiRequest, timeoutMs: number, client?: Client): Promise<IpmiReply> {
    return new Promise((resolve, reject) => {
      const nowMs = performance.now();
      const job: Job = {
        state,
        client,
        request,
        startedMs: nowMs,
        deadlineMs: nowMs + timeoutMs,
        stepMs: Math.min(Math.ceil(timeoutMs / 3 / MIN_STEP_MS) * MIN_STEP_MS, MAX_STEP_MS),
        resolve,
        reject,
        timer: undefined,
        isDone: false,
        first: 0,
        attempts: 0,
        sentUs: [],
        busy: undefined,
      };
      this.#usedMs = nowMs;
      if (this.#job || this.#busyWith || !this.#isReadyFor(state)) {
        job.timer = setTimeout(() => this.#giveUp(job), timeoutMs);
        this.#queue.push(job);
        this.#next();
      } else {
        this.#start(job, nowMs);
      }
    });
  }

  /** Ends the session on the BMC, within a second. What waits is rejected. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const error = new ClosedError();
    for (const job of [...this.#queue.splice(0), ...(this.#job ? [this.#job] : [])]) this.#reject(job, error);
    this.#asker.stop();
    await this.#busyWith;
    this.#asker = this.#newAsker();
    await this.#closeChannel();
    clearTimeout(this.#aliveTimer);
    this.#link.close();
  }

  receive(datagram: Buffer): void {
    const job = this.#job;
    if (!job || !this.#channel) {
      this.#asker.receive(datagram);
      return;
    }
    const message = this.#channel.open(datagram);
    if (!message || !isResponseTo(job.request, message)) return;
    const attempt = (responseNumber(message) - job.first + REQUEST_NUMBERS) % REQUEST_NUMBERS;
    if (attempt >= job.attempts) return;
    this.#heardMs = performance.now();
    const reply: IpmiReply = {
      completionCode: completionCode(message),
      data: responseData(message),
      requestUs: job.sentUs[attempt] as number,
      answerUs: this.#context.nowUs(),
    };
    if (this.#context.trace)
      this.#trace(job, `answered: ${datagram.length} octets, completion code ${hex(reply.completionCode)}`);
    // The next attempt comes after the step.
    if (reply.completionCode === NODE_BUSY && this.#hasStepLeft(job)) job.busy = reply;
    else this.#resolve(job, reply);
  }

  fail(code: string): void {
    const what = code === 'ECONNREFUSED' ? 'nothing listens there' : `unreachable (${code})`;
    const error = new UnreachableError('refused', `${this.#hostPort}: ${what}`);
    this.#asker.fail(error);
    if (!this.#job) return;
    this.#isDoubtful = true;
    this.#reject(this.#job, error);
  }

  #isReadyFor(state: LoginState): boolean {
    return this.#channel !== undefined && this.#owner === state && !this.#isDoubtful;
  }

  /** Begins the next request, or what must come before it. */
  #next(): void {
    if (this.#job || this.#busyWith || this.#closed) return;
    const job = this.#queue[0];
    if (!job) return;
    if (this.#isReadyFor(job.state)) {
      this.#queue.shift();
      clearTimeout(job.timer);
      this.#start(job, performance.now());
      return;
    }
    this.#occupy(this.#prepare(job.state));
  }

  /** Lets requests wait for `work`, which never rejects. */
  #occupy(work: Promise<void>): void {
    this.#busyWith = work.finally(() => {
      this.#busyWith = undefined;
      this.#next();
    });
  }

  #start(job: Job, nowMs: number): void {
    this.#job = job;
    job.first = this.#requestNumber;
    this.#attempt(job, nowMs);
  }

  #attempt(job: Job, nowMs: number): void {
    const message = encodeRequest(job.request, this.#requestNumber);
    this.#requestNumber = (this.#requestNumber + 1) % REQUEST_NUMBERS;
    job.attempts++;
    this.#wakeAt(Math.min(nowMs + job.stepMs, job.deadlineMs), nowMs);
    const packet = (this.#channel as SecureChannel).seal(message);
    job.sentUs.push(this.#context.nowUs());
    this.#link.send(packet);
    if (this.#context.trace)
      this.#trace(
        job,
        `asked: ${packet.length} octets${job.attempts > 1 ? `, attempt ${job.attempts}` : ''}`,
      );
  }

  #trace({ request }: Job, what: string): void {
    const { netFn, command } = request;
    this.#context.trace?.({ step: 'read', text: `command ${hex(netFn)} ${hex(command)} ${what}` });
  }

  #wakeAt(dueMs: number, nowMs: number): void {
    this.dueMs = dueMs;
    alarm.add(this, nowMs);
  }

  onDue(nowMs: number): void {
    const job = this.#job;
    if (!job) return;
    if (job.attempts < MAX_ATTEMPTS && this.#hasStepLeft(job)) this.#attempt(job, nowMs);
    else if (job.deadlineMs - nowMs > 1) this.#wakeAt(job.deadlineMs, nowMs);
    else this.#giveUp(job);
  }

  /** Whether another attempt has a fair chance of an answer. */
  #hasStepLeft(job: Job): boolean {
    return job.deadlineMs - performance.now() > job.stepMs / 2;
  }

  #giveUp(job: Job): void {
    if (job.isDone) return;
    if (job.busy) {
      this.#resolve(job, job.busy);
      return;
    }
    const elapsedMs = Math.round(performance.now() - job.startedMs);
    if (job === this.#job) {
      this.#isDoubtful = true;
      this.#reject(job, this.#noAnswer(elapsedMs, `${job.attempts} attempts`));
    } else {
      this.#queue.splice(this.#queue.indexOf(job), 1);
      const why = this.#channel ? 'the BMC was busy with other requests' : 'no session could be opened';
      this.#reject(job, job.state.error ?? this.#noAnswer(elapsedMs, why));
    }
  }

  #noAnswer(elapsedMs: number, detail: string): IpmiError {
    return new IpmiError('timeout', `no answer from ${this.#hostPort} within ${elapsedMs} ms (${detail})`);
  }

  #resolve(job: Job, reply: IpmiReply): void {
    job.isDone = true;
    this.#end();
    job.client?.answered();
    job.resolve(reply);
    if (this.#queue.length > 0) this.#next();
  }

  #reject(job: Job, error: IpmiError): void {
    if (job.isDone) return;
    job.isDone = true;
    clearTimeout(job.timer);
    if (this.#job === job) this.#end();
    if (error.kind === 'timeout' || error.kind === 'refused') job.client?.unanswered();
    job.reject(error);
    this.#next();
  }

  /** Nothing is in flight any more. */
  #end(): void {
    this.#job = undefined;
    alarm.remove(this);
  }

  /** Makes the session of this login ready, or rejects what waits for it. Never rejects. */
  async #prepare(state: LoginState): Promise<void> {
    try {
      if (this.#channel && this.#owner !== state) await this.#closeChannel();
      if (this.#channel && (await this.#isAlive(this.#channel, state))) return;
      if (state.error && performance.now() < state.retryAtMs) throw state.error;
      await this.#open(state);
    } catch (error) {
      const failure = error instanceof IpmiError ? error : this.#defect(state, error);
      for (const job of this.#queue.filter((one) => one.state === state)) {
        this.#queue.splice(this.#queue.indexOf(job), 1);
        this.#reject(job, failure);
      }
    }
  }

  /** A defect of kw costs this BMC its session, and nobody else anything. */
  #defect(state: LoginState, error: unknown): IpmiError {
    this.#drop();
    const failure = new IpmiError('protocol', `${this.#hostPort}: ${defectText(error)}`);
    this.#backOff(state, failure);
    return failure;
  }

  /** @throws IpmiError, remembered for the back-off */
  async #open(state: LoginState): Promise<void> {
    try {
      const channel = await openSession({
        login: state.login,
        hostPort: this.#hostPort,
        asker: this.#asker,
        send: (datagram) => this.#link.send(datagram),
        trace: this.#context.trace,
        suiteBefore: state.suite,
      });
      this.#channel = channel;
      this.#owner = state;
      this.#isDoubtful = false;
      this.#heardMs = performance.now();
      state.suite = channel.suite.id;
      state.failures = 0;
      state.error = undefined;
      this.#armAlive();
    } catch (error) {
      if (error instanceof IpmiError && !this.#closed) this.#backOff(state, error);
      throw error;
    }
  }

  #backOff(state: LoginState, error: IpmiError): void {
    const { backOffMs, maxBackOffMs, authBackOffMs, maxAuthBackOffMs } = this.#timings;
    state.error = error;
    state.suite = undefined;
    // A BMC that is silent or switched off is asked again by the next request: nothing is spoilt by that.
    if (isSilence(error) || error instanceof UnreachableError) {
      state.retryAtMs = 0;
      return;
    }
    const isAuth = error.kind === 'auth';
    const first = isAuth ? authBackOffMs : backOffMs;
    const longest = isAuth ? maxAuthBackOffMs : maxBackOffMs;
    state.retryAtMs = performance.now() + Math.min(first * 2 ** state.failures, longest);
    state.failures++;
  }

  /**
   * Whether a session that is in doubt still lives. Gives it up if it does not.
   * @throws IpmiError when the BMC is silent as a whole, which says nothing about the session
   */
  async #isAlive(channel: SecureChannel, { login }: LoginState): Promise<boolean> {
    await askAuthCapabilities(this.#asker, login);
    try {
      await askInside(this.#asker, channel, getDeviceId, 'Get Device ID', CHECK_STEPS_MS);
      this.#isDoubtful = false;
      this.#heardMs = performance.now();
      this.#armAlive();
      return true;
    } catch (error) {
      if (!isSilence(error)) throw error;
    }
    // The BMC lost it, or does not hear us in it: should it have it after all, it ends here.
    this.#link.send(channel.seal(encodeRequest(closeSession(channel.bmcId), 0)));
    this.#drop();
    return false;
  }

  /** Closes the session on the BMC. Never rejects. */
  async #closeChannel(): Promise<void> {
    const channel = this.#channel;
    if (!channel) return;
    try {
      const { code } = await askInside(
        this.#asker,
        channel,
        closeSession(channel.bmcId),
        'Close Session',
        CLOSE_STEPS_MS,
      );
      const text = code === 0 ? 'the session is closed' : `the BMC did not close the session (${code})`;
      this.#context.trace?.({ step: 'close', text });
    } catch (error) {
      const text = error instanceof IpmiError ? error.message : defectText(error);
      this.#context.trace?.({ step: 'close', text });
    }
    this.#drop();
  }

  #drop(): void {
    this.#channel?.destroy();
    this.#channel = undefined;
    this.#owner = undefined;
    this.#isDoubtful = false;
    clearTimeout(this.#aliveTimer);
  }

  #armAlive(): void {
    const { keepAliveMs } = this.#timings;
    clearTimeout(this.#aliveTimer);
    const dueMs = this.#heardMs + keepAliveMs - performance.now();
    this.#aliveTimer = setTimeout(() => this.#onAliveTimer(), Math.max(dueMs, keepAliveMs / 10)).unref();
  }

  /**
   * Nothing was asked for a while: asks something, or closes a session that nobody needs. One that is in doubt is
   * left to the next request.
   */
  #onAliveTimer(): void {
    const { keepAliveMs, unusedMs } = this.#timings;
    const nowMs = performance.now();
    const owner = this.#owner;
    if (!owner || this.#closed || this.#isDoubtful) return;
    const isUsed = nowMs - this.#heardMs < keepAliveMs - 1;
    if (isUsed || this.#busyWith || this.#job) {
      this.#armAlive();
    } else if (nowMs - this.#usedMs > unusedMs) {
      this.#occupy(this.#closeChannel());
    } else {
      const usedMs = this.#usedMs;
      const armAgain = () => this.#armAlive();
      this.request(owner, getDeviceId, keepAliveMs / 5).then(armAgain, armAgain);
      this.#usedMs = usedMs;
    }
  }

  #newAsker(): Asker {
    return new Asker(this.#hostPort, (datagram) => this.#link.send(datagram));
  }
}

/** Without the message of the error, which may hold what it was about: a password. */
function defectText(error: unknown): string {
  const name = error instanceof Error ? error.name : typeof error;
  return `the session failed with ${name}, which is a defect of kw`;
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(2, '0')}`;
}
