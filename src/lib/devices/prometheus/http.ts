/** Fetches the page of one exporter over one kept connection, within bounds of time and size. */
import type { SessionContext } from '../driver.ts';
import {
  checkEncoding,
  type Headers,
  HttpConnection,
  HttpError,
  type HttpFailure,
  type HttpTrail,
  headerOf,
} from '../shared/http.ts';
import { quote } from '../shared/tally.ts';
import type { PrometheusUrl } from './url.ts';
import type { ExpositionFormat } from './valueText.ts';

/**
 * The text format first: exporters in Go rename counters in OpenMetrics (`x` becomes `x_total`), and metrics should
 * have the names that Kwollect gave them.
 */
const ACCEPT = 'text/plain;version=0.0.4;q=1,application/openmetrics-text;version=1.0.0;q=0.8,*/*;q=0.1';

const WORDS = {
  thing: 'page',
  refusedHint: 'does the exporter run?',
  noTlsHint: 'is it prometheus:// without https?',
};

export interface Page {
  readonly bytes: Buffer;
  readonly format: ExpositionFormat;
  /** Middle between the request and the first byte of the answer. */
  readonly timestampUs: number;
}

/** The connection to one exporter. */
export class PageFetcher {
  readonly #path: string;
  readonly #headers: Record<string, string>;
  readonly #connection: HttpConnection;

  constructor(url: PrometheusUrl, context: SessionContext) {
    this.#path = url.pagePath;
    this.#headers = {
      accept: ACCEPT,
      'accept-encoding': url.gzip ? 'gzip' : 'identity',
      'user-agent': 'kw',
      ...(url.authorization === undefined ? {} : { authorization: url.authorization }),
    };
    this.#connection = new HttpConnection(
      url,
      WORDS,
      () => context.nowUs(),
      context.trace && ((step) => context.trace?.(step)),
    );
  }

  /** One GET, resolved within `timeoutMs`; never rejects for anything an exporter or a network can do. */
  async fetch(timeoutMs: number): Promise<Page | HttpFailure> {
    const request = { method: 'GET', path: this.#path, headers: this.#headers, accept } as const;
    const response = await this.#connection.request(request, timeoutMs);
    if ('kind' in response) return response;
    const { bytes, headers, timestampUs } = response;
    return { bytes, format: formatOf(headers), timestampUs };
  }

  /** The last answer. */
  get trail(): HttpTrail {
    return this.#connection.trail;
  }

  close(): Promise<void> {
    return this.#connection.close();
  }
}

/** Refuses what is no page of metrics before its body comes. */
function accept(statusCode: number, headers: Headers): void {
  checkStatus(statusCode, headers);
  checkEncoding(headers);
  formatOf(headers);
}

function checkStatus(statusCode: number, headers: Headers): void {
  if (statusCode === 200) return;
  if (statusCode === 401 || statusCode === 403)
    throw new HttpError(
      'auth',
      `answered HTTP status ${statusCode}: user, password or token are missing or wrong`,
    );
  const location = headerOf(headers, 'location');
  if (statusCode >= 300 && statusCode < 400 && location !== '') {
    throw new HttpError(
      'protocol',
      `answered HTTP status ${statusCode}, a redirect to ${quote(location)}, which is not followed: give that address`,
    );
  }
  const hint = statusCode === 404 ? ': is the page elsewhere (path=)?' : '';
  throw new HttpError('protocol', `answered HTTP status ${statusCode}${hint}`);
}

function formatOf(headers: Headers): ExpositionFormat {
  const type = headerOf(headers, 'content-type').toLowerCase();
  if (type.startsWith('application/openmetrics-text')) return 'openmetrics';
  if (type.startsWith('text/html') || type.includes('protobuf') || type.startsWith('application/json'))
    throw new HttpError('protocol', `answered ${quote(type)}, which is no page of metrics (see path=)`);
  return 'text';
}
