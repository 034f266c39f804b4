/**
 * Opens a session: from the first question to one whose privilege is set. A question is one exchange; what is
 * written behind it are the ways in which it can fail.
 *
 *   Get Channel Authentication Capabilities   silent; IPMI 1.5 only
 *   Get Channel Cipher Suites                 silence and errors are borne: then 17 and 3 are tried in turn
 *   Open Session                              full session table; unsupported suite: the next one is tried
 *   RAKP 1, 2                                 unknown user; privilege; wrong password (the code is not right)
 *   RAKP 3, 4                                 wrong K_g (the check value is not right, and nothing in the session)
 *   Set Session Privilege Level               privilege
 *
 * Whatever fails, the BMC is told to forget the session as far as it has one.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { printable } from '../../printable.ts';
import type { SessionContext } from '../driver.ts';
import { AGAIN, type Asker } from './asker.ts';
import { SecureChannel } from './channel.ts';
import {
  type AuthCapabilities,
  closeSession,
  getChannelAuthCapabilities,
  getChannelCipherSuites,
  MAX_SUITE_PIECES,
  readAuthCapabilities,
  SUITE_PIECE_LENGTH,
  setSessionPrivilege,
} from './commands.ts';
import { IpmiError, isSilence } from './errors.ts';
import {
  completionCode,
  encodeRequest,
  type IpmiRequest,
  isResponseTo,
  REQUEST_NUMBERS,
  responseData,
  responseNumber,
} from './lanMessage.ts';
import { decodePlain, decodeSetUp, encodePlain, encodeSetUp, PayloadType } from './packet.ts';
import {
  type Answer,
  decodeOpenSession,
  decodeRakp2,
  decodeRakp4,
  type Exchange,
  encodeOpenSession,
  encodeRakp1,
  encodeRakp3,
  equalCodes,
  isSuiteRefusal,
  passwordKeys,
  RANDOM_LENGTH,
  RakpStatus,
  rakp2Code,
  rakp3Code,
  rakp4Code,
  roleOctet,
  sessionIntegrityKey,
  sessionKeys,
} from './rakp.ts';
import { type CipherSuite, type CipherSuiteId, cipherSuite, PREFERRED_SUITES, suiteIds } from './suites.ts';
import type { IpmiLogin } from './url.ts';

/** So many answers with a wrong code mean a wrong password; a single one may have been damaged on its way. */
const WRONG_CODES = 2;
/** For questions that many BMCs do not answer outside of a session. */
const SHORT_STEPS_MS = [300, 600];
/** Shorter than usual: what comes behind shows as well whether the session is open. */
const RAKP3_STEPS_MS = [500, 1000];

export interface OpeningOptions {
  readonly login: IpmiLogin;
  readonly hostPort: string;
  readonly asker: Asker;
  /** For what needs no answer. */
  send(datagram: Buffer): void;
  readonly trace: SessionContext['trace'];
  /** The suite of the last session with this login: the BMC is not asked for its suites again. */
  readonly suiteBefore?: CipherSuiteId | undefined;
}

/** @throws IpmiError */
export async function openSession(options: OpeningOptions): Promise<SecureChannel> {
  const opening = new Opening(options);
  try {
    return await opening.run();
  } catch (error) {
    opening.forget();
    if (!opening.gotStuck(error)) throw error;
  }
  // The BMC gave a session and then did not know it: what it said may have been damaged, or it began anew.
  const another = new Opening(options);
  try {
    return await another.run();
  } catch (error) {
    another.forget();
    throw error;
  }
}

/** A BMC that answers this is alive, whatever became of the session. */
export async function askAuthCapabilities(
  asker: Asker,
  login: IpmiLogin,
): Promise<AuthCapabilities | undefined> {
  const request = getChannelAuthCapabilities(login.privilege);
  const { code, data } = await askPlain(asker, request, 'Get Channel Authentication Capabilities');
  return code === 0 ? readAuthCapabilities(data) : undefined;
}

class Opening {
  readonly #options: OpeningOptions;
  readonly #role: number;
  readonly #user: Buffer;
  readonly #consoleId = randomInt(1, 2 ** 32);
  /** Message tags go up over all attempts of all questions: an answer to an earlier one is told by its tag. */
  #tag = randomInt(256);
  #bmcId = 0;
  /** From RAKP 2 on: what may be open on the BMC. */
  #channel: SecureChannel | undefined;
  #isActive = false;
  #needsKg = false;

  constructor(options: OpeningOptions) {
    this.#options = options;
    const { login } = options;
    this.#role = roleOctet(login.privilege, login.lookUpByName);
    this.#user = Buffer.from(login.user);
  }

  async run(): Promise<SecureChannel> {
    const { asker, login, hostPort, trace } = this.#options;
    const capabilities = await askAuthCapabilities(asker, login);
    if (capabilities && !capabilities.isIpmi20)
      throw new IpmiError('protocol', 'the BMC speaks IPMI 1.5 only, and kw needs IPMI 2.0');
    this.#needsKg = capabilities?.needsKg ?? false;
    trace?.({ step: 'open', text: `${hostPort} answers and speaks IPMI 2.0` });

    const suite = await this.#openWithBestSuite();
    trace?.({ step: 'open', text: `the BMC gives a session with ${suite.text}` });
    const { exchange, key } = await this.#authenticateBmc(suite);
    trace?.({ step: 'authenticate', text: `the BMC knows the user ${this.#userText} and the password` });
    return this.#authenticateUs(exchange, key);
  }

  /** Whether the BMC went silent, or lost the session, after it had given one. */
  gotStuck(error: unknown): boolean {
    return this.#bmcId !== 0 && (error instanceof LostError || isSilence(error));
  }

  /** Tells the BMC to forget what was begun. Its answer is of no interest. */
  forget(): void {
    const { send } = this.#options;
    if (this.#channel) {
      if (this.#isActive) send(this.#channel.seal(encodeRequest(closeSession(this.#bmcId), 0)));
      this.#channel.destroy();
    }
    if (this.#bmcId !== 0 && !this.#isActive) {
      const payload = encodeRakp3(this.#nextTag(), RakpStatus.invalidIntegrityCheck, this.#bmcId, NOTHING);
      send(encodeSetUp(PayloadType.rakp3, payload));
    }
  }

  async #openWithBestSuite(): Promise<CipherSuite> {
    const { login, suiteBefore } = this.#options;
    if (login.cipher !== undefined) return this.#open(cipherSuite(login.cipher));
    const offered = suiteBefore === undefined ? await this.#offeredSuites() : undefined;
    const candidates = offered
      ? PREFERRED_SUITES.filter((id) => offered.includes(id))
      : [...new Set([...(suiteBefore ? [suiteBefore] : []), ...PREFERRED_SUITES])];
    if (candidates.length === 0)
      throw new IpmiError(
        'protocol',
        `the BMC offers cipher suites ${offered?.join(', ')} only, and kw speaks 3 and 17`,
      );
    for (const [index, id] of candidates.entries()) {
      try {
        return await this.#open(cipherSuite(id));
      } catch (error) {
        const isLast = index === candidates.length - 1;
        // Some BMCs are silent instead of refusing what they do not know.
        const maySuit =
          error instanceof SuiteError || (error instanceof IpmiError && error.kind === 'timeout');
        if (isLast || !maySuit) throw error;
      }
    }
    throw new Error('unreachable');
  }

  /** Undefined when the BMC does not tell: it need not answer before there is a session, and some never do. */
  async #offeredSuites(): Promise<number[] | undefined> {
    const pieces: Buffer[] = [];
    try {
      for (let piece = 0; piece < MAX_SUITE_PIECES; piece++) {
        const { code, data } = await askPlain(
          this.#options.asker,
          getChannelCipherSuites(piece),
          'Get Channel Cipher Suites',
          SHORT_STEPS_MS,
        );
        if (code !== 0) break;
        pieces.push(data.subarray(1));
        if (data.length - 1 < SUITE_PIECE_LENGTH) break;
      }
    } catch (error) {
      if (!isSilence(error)) throw error;
    }
    const ids = suiteIds(Buffer.concat(pieces));
    return ids.length > 0 ? ids : undefined;
  }

  async #open(suite: CipherSuite): Promise<CipherSuite> {
    const { login } = this.#options;
    const answer = await this.#ask(
      'Open Session',
      PayloadType.openSessionRequest,
      PayloadType.openSessionResponse,
      (tag) => encodeOpenSession(tag, login.privilege, this.#consoleId, suite),
      (payload) => decodeOpenSession(payload, this.#consoleId, suite),
    );
    if (isSuiteRefusal(answer.status))
      throw new SuiteError('protocol', `the BMC does not support ${suite.text}`);
    this.#check(answer);
    this.#bmcId = answer.bmcId;
    if (!answer.isSuite)
      throw new SuiteError('protocol', `the BMC answers ${suite.text} with other algorithms`);
    return suite;
  }

  /** RAKP 1 and 2. Only the answer to the newest RAKP 1 counts: the BMC draws another random number for each. */
  async #authenticateBmc(suite: CipherSuite): Promise<{ exchange: Exchange; key: Buffer }> {
    const { login } = this.#options;
    const consoleRandom = randomBytes(RANDOM_LENGTH);
    const keys = passwordKeys(login.password);
    let wrong = 0;
    const wrongPassword = () => new IpmiError('auth', `wrong password for the user ${this.#userText}`);
    try {
      return await this.#ask(
        'RAKP message 1',
        PayloadType.rakp1,
        PayloadType.rakp2,
        (tag) => encodeRakp1(tag, this.#bmcId, consoleRandom, this.#role, this.#user),
        (payload) => {
          const answer = decodeRakp2(payload, this.#consoleId, suite);
          if (!answer || answer.tag !== this.#tag) return undefined;
          this.#check(answer);
          const { bmcRandom, guid } = answer;
          const exchange: Exchange = {
            suite,
            consoleId: this.#consoleId,
            bmcId: this.#bmcId,
            consoleRandom,
            bmcRandom,
            guid,
            role: this.#role,
            user: this.#user,
          };
          const key = keys.find((one) => equalCodes(rakp2Code(exchange, one), answer.code));
          if (key) return { exchange, key };
          if (++wrong >= WRONG_CODES) throw wrongPassword();
          return AGAIN;
        },
      );
    } catch (error) {
      throw wrong > 0 ? wrongPassword() : error;
    }
  }

  /**
   * RAKP 3 and 4. A check value that is wrong or missing does not end it: RAKP 4 may have been damaged or lost, and
   * BMCs do not repeat it. Then an answer in the session must prove as much: it is signed with a key that is made
   * of the same one.
   */
  async #authenticateUs(exchange: Exchange, key: Buffer): Promise<SecureChannel> {
    const { login, asker, trace } = this.#options;
    const { suite } = exchange;
    const code = rakp3Code(exchange, key);
    const integrityKey = sessionIntegrityKey(exchange, login.kg ?? key);
    const expected = rakp4Code(exchange, integrityKey);
    const keys = sessionKeys(suite, integrityKey);
    integrityKey.fill(0);
    const channel = new SecureChannel(suite, keys, this.#consoleId, this.#bmcId);
    this.#channel = channel;
    let isRight: boolean | undefined;
    try {
      isRight = await this.#ask(
        'RAKP message 3',
        PayloadType.rakp3,
        PayloadType.rakp4,
        (tag) => {
          this.#isActive = true;
          return encodeRakp3(tag, 0, this.#bmcId, code);
        },
        (payload) => {
          const answer = decodeRakp4(payload, this.#consoleId, suite);
          if (!answer) return undefined;
          this.#check(answer);
          return equalCodes(answer.code, expected);
        },
        RAKP3_STEPS_MS,
      );
    } catch (error) {
      if (!isSilence(error)) throw error;
    }
    try {
      await this.#setPrivilege(asker, channel, isRight ? undefined : SHORT_STEPS_MS);
    } catch (error) {
      throw isRight === false && isSilence(error) ? this.#wrongKg() : error;
    }
    trace?.({ step: 'authenticate', text: 'both sides have the same session key' });
    trace?.({ step: 'authenticate', text: `the privilege is ${login.privilege}` });
    return channel;
  }

  #wrongKg(): IpmiError {
    if (this.#options.login.kg)
      return new IpmiError('auth', 'wrong K_g key: the BMC has another one or none');
    const what = this.#needsKg
      ? 'the BMC has a K_g key, which must be given (kg)'
      : 'the BMC does not derive the same session key; it may have a K_g key, which must be given (kg)';
    return new IpmiError('auth', what);
  }

  /** Sessions begin with the privilege of a user, or less (section 6.8), so it is always set. */
  async #setPrivilege(
    asker: Asker,
    channel: SecureChannel,
    stepsMs: readonly number[] | undefined,
  ): Promise<void> {
    const { privilege } = this.#options.login;
    const request = setSessionPrivilege(privilege);
    const { code } = await askInside(asker, channel, request, 'Set Session Privilege Level', stepsMs);
    if (code !== 0)
      throw new IpmiError('auth', `the user ${this.#userText} may not have the privilege ${privilege}`);
  }

  /** A question of session set-up; only an answer to one of its own attempts is looked at. */
  #ask<T>(
    name: string,
    requestType: number,
    answerType: number,
    encode: (tag: number) => Buffer,
    accept: (payload: Buffer) => T | typeof AGAIN | undefined,
    stepsMs?: readonly number[],
  ): Promise<T> {
    return this.#options.asker.ask({
      name,
      stepsMs,
      datagram: () => encodeSetUp(requestType, encode(this.#nextTag())),
      accept: (datagram, attempts) => {
        const payload = decodeSetUp(datagram, answerType);
        if (!payload || payload.length === 0) return undefined;
        const age = (this.#tag - (payload[0] as number)) & 0xff;
        return age < attempts ? accept(payload) : undefined;
      },
    });
  }

  #nextTag(): number {
    this.#tag = (this.#tag + 1) & 0xff;
    return this.#tag;
  }

  /** What the user is called in messages. */
  get #userText(): string {
    const { user } = this.#options.login;
    return user === '' ? 'without a name' : `"${printable(user)}"`;
  }

  /** @throws IpmiError for a status other than 0 (table 13-15) */
  #check({ status }: Answer): void {
    const { login } = this.#options;
    switch (status) {
      case 0:
        return;
      case RakpStatus.noResources:
      case RakpStatus.noResourcesForRole:
        throw new IpmiError('refused', 'the BMC has no free session: its session table is full');
      case RakpStatus.unauthorizedName:
        throw new IpmiError(
          'auth',
          `the BMC does not know the user ${this.#userText}${login.lookUpByName ? '' : ` with the privilege ${login.privilege}`}`,
        );
      case RakpStatus.invalidRole:
      case RakpStatus.unauthorizedRole:
        throw new IpmiError(
          'auth',
          `the user ${this.#userText} may not log in with the privilege ${login.privilege}`,
        );
      case RakpStatus.invalidIntegrityCheck:
        throw new IpmiError('auth', `the BMC refuses the password of the user ${this.#userText}`);
      case RakpStatus.invalidSessionId:
      case RakpStatus.inactiveSessionId:
        throw new LostError('protocol', 'the BMC lost the session while it was being opened');
      default:
        throw new IpmiError(
          'protocol',
          `the BMC refuses the session with status 0x${status.toString(16).padStart(2, '0')}`,
        );
    }
  }
}

/** Another cipher suite may help. */
class SuiteError extends IpmiError {}
/** Another attempt may help. */
class LostError extends IpmiError {}

const NOTHING = new Uint8Array(0);

interface PlainReply {
  readonly code: number;
  readonly data: Buffer;
}

/** Asks outside of a session (section 13.14 tells which commands that may be). */
function askPlain(
  asker: Asker,
  request: IpmiRequest,
  name: string,
  stepsMs?: readonly number[],
): Promise<PlainReply> {
  return askMessage(asker, request, name, encodePlain, decodePlain, stepsMs);
}

/** Asks in a session, outside of the hot path. */
export function askInside(
  asker: Asker,
  channel: SecureChannel,
  request: IpmiRequest,
  name: string,
  stepsMs?: readonly number[],
): Promise<PlainReply> {
  return askMessage(
    asker,
    request,
    name,
    (message) => channel.seal(message),
    (datagram) => channel.open(datagram),
    stepsMs,
  );
}

function askMessage(
  asker: Asker,
  request: IpmiRequest,
  name: string,
  wrap: (message: Buffer) => Buffer,
  unwrap: (datagram: Buffer) => Buffer | undefined,
  stepsMs?: readonly number[],
): Promise<PlainReply> {
  const first = randomInt(REQUEST_NUMBERS);
  return asker.ask({
    name,
    stepsMs,
    datagram: (attempt) => wrap(encodeRequest(request, (first + attempt) % REQUEST_NUMBERS)),
    accept: (datagram, attempts) => {
      const message = unwrap(datagram);
      if (!message || !isResponseTo(request, message)) return undefined;
      const attempt = (responseNumber(message) - first + REQUEST_NUMBERS) % REQUEST_NUMBERS;
      if (attempt >= attempts) return undefined;
      return { code: completionCode(message), data: responseData(message) };
    },
  });
}
