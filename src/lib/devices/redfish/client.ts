/**
 * Talks to one BMC: one request at a time on one connection, as one user.
 *
 * How it is known to the BMC (DSP0266 section 13.3):
 *
 *   none ----POST Sessions: 201----> session ----401 to a request----> none (once a request)
 *   none ----POST Sessions: 401, 403, or 400----> refused: not tried again for a while, which doubles
 *   none ----no session service, or no free session----> basic: HTTP Basic with each request, session tried again later
 *
 * A login goes on when the poll that began it has no more time: a BMC may take many seconds, and a login that nobody
 * waits for would leave a session behind at each poll until its table is full.
 */
import type { Problem, SessionContext } from '../driver.ts';
import {
  checkEncoding,
  HttpConnection,
  HttpError,
  type HttpRequest,
  type HttpResponse,
  type HttpTrail,
  headerOf,
} from '../shared/http.ts';
import { quote } from '../shared/tally.ts';
import { RedfishError } from './failure.ts';
import { linkTo, sameHostPath } from './links.ts';
import { type RedfishUrl, ROOT } from './url.ts';
import { list, member, text } from './value.ts';

const WORDS = {
  thing: 'resource',
  refusedHint: 'is Redfish switched on?',
  noTlsHint: 'is it redfish+http://, or an old TLS version?',
};

/** DSP0266 section 13.3.4: where sessions are made unless the service root says otherwise. */
const SESSIONS = `${ROOT}/SessionService/Sessions`;
/** Bounds a login, which outlives its poll. */
const LOGIN_TIMEOUT_MS = 60_000;
const LOGOUT_TIMEOUT_MS = 2_000;
/** BMCs lock users out after a few wrong passwords, so the first wait is short for a BMC that starts, then doubles. */
const FIRST_REFUSAL_MS = 5_000;
const LONGEST_REFUSAL_MS = 600_000;
/** How long Basic serves before a session is tried again. */
const BASIC_MS = 600_000;
const MAX_REDIRECTS = 3;
const MAX_TOKEN = 4096;

export interface Resource {
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
  /** Length of the body as it came, in bytes. */
  readonly bodyBytes: number;
  /** Middle between request and answer, in microseconds since the epoch. */
  readonly timestampUs: number;
}

type Identity =
  | { readonly kind: 'none' }
  | { readonly kind: 'session'; readonly token: string; readonly location: string | undefined }
  | { readonly kind: 'basic'; readonly untilMs: number };

/** A status that stops a request before its body is read. */
class Unauthorized extends HttpError {
  constructor() {
    super('auth', 'answered HTTP status 401');
  }
}

export class RedfishClient {
  readonly #url: RedfishUrl;
  readonly #context: SessionContext;
  readonly #connection: HttpConnection;
  /** Redirects that are known, so that each costs one request only. */
  readonly #moved = new Map<string, string>();
  #identity: Identity = { kind: 'none' };
  /** Where sessions are made. */
  #sessions = SESSIONS;
  #login: Promise<void> | undefined;
  #refusal: { readonly message: string; readonly untilMs: number; readonly waitMs: number } | undefined;
  #notices: Problem[] = [];
  #closing = false;

  constructor(url: RedfishUrl, context: SessionContext) {
    this.#url = url;
    this.#context = context;
    this.#connection = new HttpConnection(
      url,
      WORDS,
      () => context.nowUs(),
      context.trace && ((step) => context.trace?.(step)),
    );
  }

  /** The last answer, for people. */
  get trail(): HttpTrail {
    return this.#connection.trail;
  }

  /** How kw is known to the BMC, for people. */
  get identity(): string {
    const { kind } = this.#identity;
    return kind === 'none' ? 'none' : kind === 'basic' ? 'HTTP Basic' : 'session (X-Auth-Token)';
  }

  /** What happened besides the answers since the last call. */
  takeNotices(): Problem[] {
    return this.#notices.splice(0);
  }

  /**
   * Reads one resource.
   * @param deadline on the clock of performance.now()
   * @throws RedfishError and nothing else, whatever the BMC does
   */
  async get(path: string, deadline: number): Promise<Resource> {
    for (let attempt = 1; ; attempt++) {
      await this.#authenticate(deadline);
      const response = await this.#send('GET', path, deadline);
      if (response !== 'unauthorized') return this.#resource(path, response);
      if (this.#url.login === undefined)
        throw new RedfishError('auth', 'asks for a user and a password (HTTP status 401)', 'device');
      const expired = this.#identity.kind === 'session' && attempt === 1;
      const text = expired ? 'the session is not known any more' : `${this.identity} was refused`;
      this.#context.trace?.({ step: 'authenticate', text: `${text}: HTTP status 401` });
      await this.#deleteSession(deadline);
      if (!expired) this.#refuse('refused user and password (HTTP status 401)');
    }
  }

  /** Ends the session on the BMC, and what is under way. */
  async close(): Promise<void> {
    this.#closing = true;
    // A login that is given up leaves its session behind.
    const deadline = performance.now() + LOGOUT_TIMEOUT_MS;
    if (this.#login) await within(this.#login, deadline, '').catch(() => {});
    this.#connection.abort();
    await this.#deleteSession(performance.now() + LOGOUT_TIMEOUT_MS);
    await this.#connection.close();
  }

  /**
   * Deletes the session, also one that the BMC says it does not know: what answers 401 now and then while a BMC is busy
   * still fills its table (github.com/bb-Ricardo/check_redfish/pull/198).
   */
  async #deleteSession(deadline: number): Promise<void> {
    const identity = this.#identity;
    if (identity.kind === 'session' && identity.location !== undefined) {
      const bound = Math.min(deadline, performance.now() + LOGOUT_TIMEOUT_MS);
      const outcome = await this.#send('DELETE', identity.location, bound).then(
        (response) => (response === 'unauthorized' ? 'HTTP status 401' : `HTTP status ${response.status}`),
        (error: RedfishError) => error.message,
      );
      this.#context.trace?.({ step: 'close', text: `session deleted: ${outcome}` });
    }
    this.#identity = { kind: 'none' };
  }

  /** Makes sure that the next request has an identity, if there is a user at all. */
  async #authenticate(deadline: number): Promise<void> {
    if (this.#url.login === undefined) return;
    const now = performance.now();
    const refusal = this.#refusal;
    if (refusal !== undefined && now < refusal.untilMs) {
      const seconds = Math.ceil((refusal.untilMs - now) / 1000);
      throw new RedfishError('auth', `${refusal.message}; not tried again for ${seconds} s`, 'device');
    }
    const identity = this.#identity;
    if (identity.kind === 'session' || (identity.kind === 'basic' && now < identity.untilMs)) return;
    if (this.#url.auth === 'basic') {
      this.#identity = { kind: 'basic', untilMs: Number.POSITIVE_INFINITY };
      return;
    }
    this.#login ??= this.#logIn(performance.now() + LOGIN_TIMEOUT_MS).finally(() => {
      this.#login = undefined;
    });
    await within(this.#login, deadline, 'the login takes long');
  }

  async #logIn(deadline: number): Promise<void> {
    let response = await this.#postSession(this.#sessions, deadline);
    if (response === 'unauthorized' || response.status === 404 || response.status === 405) {
      // Asked without an identity, many services answer 401 for what they do not have.
      const listed = await this.#sessionsLink(deadline);
      if (listed !== undefined && listed !== this.#sessions) {
        this.#sessions = listed;
        response = await this.#postSession(listed, deadline);
      } else if (listed === undefined) {
        return this.#useBasic('opens no session: its service root names no place for them');
      }
    }
    if (response === 'unauthorized') return this.#refuse('refused user and password (HTTP status 401)');
    const { status } = response;
    const token = headerOf(response.headers, 'x-auth-token');
    if (status >= 200 && status < 300 && /^[\x21-\x7e]+$/.test(token) && token.length <= MAX_TOKEN) {
      this.#identity = { kind: 'session', token, location: this.#sessionLocation(response) };
      this.#refusal = undefined;
      this.#context.trace?.({ step: 'authenticate', text: `session opened: HTTP status ${status}` });
      return;
    }
    const code = messageId(parse(response.bytes));
    const told = code === undefined ? '' : ` (${code})`;
    // iDRAC answers 503 RAC0218 when its sessions are used up (github.com/stmcginnis/gofish/issues/75); the standard
    // has SessionLimitExceeded (DSP0268, Base registry).
    const full = code !== undefined && /RAC0218|SessionLimitExceeded/.test(code);
    if (!full && [400, 401, 403].includes(status) && !isStarting(code)) {
      this.#refuse(`refused user and password (HTTP status ${status}${told})`);
    }
    if (!full && (status === 429 || status >= 500) && status !== 501) throw busy(status, told);
    if (isStarting(code)) throw busy(status, told);
    this.#useBasic(full ? `has no free session${told}` : `opens no session: HTTP status ${status}${told}`);
    const message = `${this.#url.hostPort} has no free session${told}; HTTP Basic is used instead`;
    if (full) this.#notices.push({ kind: 'limit', message });
  }

  #useBasic(why: string): void {
    this.#context.trace?.({ step: 'authenticate', text: `${why}; HTTP Basic instead` });
    this.#identity = { kind: 'basic', untilMs: performance.now() + BASIC_MS };
  }

  #postSession(path: string, deadline: number): Promise<HttpResponse | 'unauthorized'> {
    const { user, password } = this.#url.login ?? { user: '', password: '' };
    return this.#send('POST', path, deadline, JSON.stringify({ UserName: user, Password: password }));
  }

  /** Where the service root says that sessions are (Links.Sessions). It may be read without a login. */
  async #sessionsLink(deadline: number): Promise<string | undefined> {
    const response = await this.#send('GET', `${ROOT}/`, deadline);
    if (response === 'unauthorized' || response.status !== 200) return undefined;
    return linkTo(member(parse(response.bytes), 'Links'), 'Sessions');
  }

  /**
   * What to delete in the end. iLO gives an absolute URL (servermanagementportal.ext.hpe.com,
   * docs/concepts/redfishauthentication), whose host may be another name of it; Dell's ME5 names the session in the
   * body only (github.com/DMTF/python-redfish-library/issues/172).
   */
  #sessionLocation(response: HttpResponse): string | undefined {
    const location = headerOf(response.headers, 'location');
    if (location !== '') return sameHostPath(location, this.#url.origin);
    return sameHostPath(text(parse(response.bytes), '@odata.id') ?? '', this.#url.origin);
  }

  #refuse(message: string): never {
    const waitMs = Math.min(LONGEST_REFUSAL_MS, (this.#refusal?.waitMs ?? FIRST_REFUSAL_MS / 2) * 2);
    this.#refusal = { message, untilMs: performance.now() + waitMs, waitMs };
    this.#identity = { kind: 'none' };
    throw new RedfishError('auth', message, 'device');
  }

  /** One request, with redirects on the same host followed. 3xx and 401 are no answers. */
  async #send(
    method: HttpRequest['method'],
    path: string,
    deadline: number,
    body?: string,
  ): Promise<HttpResponse | 'unauthorized'> {
    let current = this.#moved.get(path) ?? path;
    for (let redirects = 0; ; redirects++) {
      if (this.#closing && method === 'GET')
        throw new RedfishError('refused', 'the session was closed', 'device');
      const headers = {
        ...HEADERS,
        ...(method === 'POST' ? {} : this.#authorization()),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      };
      const response = await this.#connection.request(
        { method, path: current, headers, ...(body === undefined ? {} : { body }), accept },
        Math.max(0, deadline - performance.now()),
      );
      const { status } = this.#connection.trail;
      if ('kind' in response) {
        if (status === 401) return 'unauthorized';
        const isTooLarge = response.kind === 'limit';
        throw new RedfishError(response.kind, response.message, isTooLarge ? 'resource' : 'device');
      }
      const location = headerOf(response.headers, 'location');
      if (response.status < 300 || response.status >= 400 || location === '') {
        // A redirect of a BMC that was starting may lead nowhere later on: the next request asks the path itself.
        if (response.status >= 400) this.#moved.delete(path);
        return response;
      }
      const next = sameHostPath(location, this.#url.origin, current);
      if (next === undefined || redirects === MAX_REDIRECTS) {
        this.#moved.delete(path);
        const which = next === undefined ? 'to another host, which is not followed' : 'again and again';
        throw new RedfishError(
          'protocol',
          `answered HTTP status ${response.status}, a redirect to ${quote(location)}: ${which}`,
          'resource',
        );
      }
      // Older BMCs of Supermicro want a slash at the end of Sessions (github.com/bb-Ricardo/check_redfish/pull/187),
      // iLO at the end of everything (github.com/ansible/ansible/issues/48296). The method stays, whatever the status.
      current = next;
      if (this.#moved.size < 1000) this.#moved.set(path, next);
    }
  }

  #authorization(): Record<string, string> {
    const identity = this.#identity;
    const { login } = this.#url;
    if (identity.kind === 'session') return { 'x-auth-token': identity.token };
    if (identity.kind === 'none' || login === undefined) return {};
    return { authorization: `Basic ${Buffer.from(`${login.user}:${login.password}`).toString('base64')}` };
  }

  #resource(path: string, response: HttpResponse): Resource {
    const { status, bytes, timestampUs } = response;
    const body = parse(bytes);
    if (status === 200) {
      if (this.#identity.kind === 'basic') this.#refusal = undefined;
      if (typeof body === 'object' && body !== null && !Array.isArray(body))
        return { path, body: body as Resource['body'], bodyBytes: bytes.length, timestampUs };
      throw new RedfishError(
        'protocol',
        `answered ${path} with something that is no JSON object`,
        'resource',
      );
    }
    const code = messageId(body);
    const told = code === undefined ? '' : ` (${code})`;
    if (status === 404 || status === 410)
      throw new RedfishError('missing', `has no resource ${path}`, 'resource', true);
    if (status === 403)
      throw new RedfishError('auth', `does not let this user read ${path}${told}`, 'resource');
    if (status === 429 || status === 503 || isStarting(code)) throw busy(status, told);
    throw new RedfishError('protocol', `answered HTTP status ${status}${told} for ${path}`, 'resource');
  }
}

const HEADERS = {
  accept: 'application/json',
  'accept-encoding': 'identity',
  // DSP0266 section 7.3: the version of the protocol.
  'odata-version': '4.0',
  'user-agent': 'kw',
} as const;

/**
 * The body of a 401 is not read: iDRAC 8 sends a broken one, of which the connection does not recover
 * (github.com/bb-Ricardo/check_redfish/issues/90).
 */
function accept(status: number, headers: Parameters<typeof checkEncoding>[0]): void {
  if (status === 401) throw new Unauthorized();
  checkEncoding(headers);
}

function busy(status: number, told: string): RedfishError {
  return new RedfishError('refused', `is starting or busy (HTTP status ${status}${told})`, 'device');
}

/**
 * iDRAC says SYS518 with status 503 (github.com/ironcore-dev/metal-operator/issues/170) or SWC0700 with status 400
 * (github.com/quadsproject/badfish/issues/129) until it has started.
 */
function isStarting(code: string | undefined): boolean {
  return code !== undefined && /SYS518|SWC0700|ServiceTemporarilyUnavailable/.test(code);
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}

/**
 * The first MessageId of an error (DSP0266 section 8.6), such as `IDRAC.2.8.SYS518`. Not its text, which may repeat
 * what was sent: the password.
 */
function messageId(body: unknown): string | undefined {
  for (const info of list(member(body, 'error'), '@Message.ExtendedInfo')) {
    const id = text(info, 'MessageId');
    if (id !== undefined && /^[\w.]{1,80}$/.test(id)) return id;
  }
  return undefined;
}

async function within(work: Promise<void>, deadline: number, message: string): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new RedfishError('timeout', message, 'device')),
      Math.max(0, deadline - performance.now()),
    );
  });
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
    // Its outcome is for the next poll, when nobody waits for it any more.
    work.catch(() => {});
  }
}
