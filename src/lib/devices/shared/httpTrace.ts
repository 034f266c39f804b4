/**
 * Tells the steps of one HTTP connection to who listens (`kw device probe --verbose`): look-up, connection, TLS,
 * request, answer. Paths are cut at the `?`, and of headers only their presence is told: both hold secrets.
 */
import { lookup } from 'node:dns';
import type { LookupFunction, Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { SessionContext, TraceStep } from '../driver.ts';
import { quote } from './tally.ts';

type Tell = NonNullable<SessionContext['trace']>;

interface Endpoint {
  readonly ca: string | undefined;
  readonly insecure: boolean;
}

interface Request {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

export class HttpTrace {
  readonly #endpoint: Endpoint;
  readonly #tell: Tell;
  /** For the sockets: Node's own look-up, and its outcome told. */
  readonly lookup: LookupFunction;
  #isLookedUp = false;
  #askedMs = 0;

  constructor(endpoint: Endpoint, tell: Tell) {
    this.#endpoint = endpoint;
    this.#tell = tell;
    this.lookup = (host, options, done) => {
      lookup(host, options, (error, found, family) => {
        this.#isLookedUp = true;
        const addresses = (Array.isArray(found) ? found : [{ address: found }]).map(({ address }) => address);
        this.#say(
          'resolve',
          error ? `${host} has no address (${error.code})` : `${host} is ${addresses.join(', ')}`,
        );
        done(error, found, family);
      });
    };
  }

  connected(socket: Socket): void {
    const { remoteAddress = '?', remotePort = 0 } = socket;
    if (!this.#isLookedUp) this.#say('resolve', `${remoteAddress} is an address already`);
    this.#say('open', `connected to ${remoteAddress} tcp port ${remotePort}`);
    if (!(socket instanceof TLSSocket)) return;
    const { subject, issuer, valid_to: until } = socket.getPeerCertificate();
    const names = `for ${quote(nameOf(subject))} by ${quote(nameOf(issuer))}, valid until ${until}`;
    this.#say('open', `${socket.getProtocol() ?? 'TLS'}, ${socket.getCipher().name}, certificate ${names}`);
    const { insecure, ca } = this.#endpoint;
    const trust = socket.authorized
      ? `trusted${ca === undefined ? '' : ' by the certificates of ca='}`
      : `not trusted (${socket.authorizationError}), ${insecure ? 'accepted since the URL says insecure' : 'refused'}`;
    this.#say('authenticate', `the certificate is ${trust}`);
  }

  asked({ method, path, headers }: Request): void {
    this.#askedMs = performance.now();
    const scheme = headers.authorization?.split(' ')[0];
    const proof =
      headers['x-auth-token'] !== undefined
        ? 'with the token of a session'
        : scheme === undefined
          ? 'without user or token'
          : `with ${scheme} authorization`;
    this.#say('read', `${method} ${path.replace(/\?.*/s, '?...')}, ${proof}`);
  }

  answered(status: number, bytes: number): void {
    const tookMs = performance.now() - this.#askedMs;
    this.#say('read', `HTTP ${status} after ${tookMs.toFixed(1)} ms, ${bytes} bytes`);
  }

  failed(kind: string, message: string): void {
    const step = kind === 'auth' ? 'authenticate' : kind === 'refused' ? 'open' : 'read';
    this.#say(step, `failed: ${message}`);
  }

  closed(): void {
    this.#say('close', 'the connection');
  }

  #say(step: TraceStep['step'], text: string): void {
    this.#tell({ step, text });
  }
}

function nameOf(
  name: { readonly CN?: string | string[]; readonly O?: string | string[] } | undefined,
): string {
  return String(name?.CN ?? name?.O ?? '(no name)');
}
