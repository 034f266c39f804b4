/**
 * The Prometheus driver: one page of an exporter a poll, in the text format or OpenMetrics.
 * A poll is `up` when its page could be read, as Prometheus's own `up` is.
 */
import { setImmediate as letOthersGo } from 'node:timers/promises';
import type { Driver, Fact, MetricRequest, Poll, PollResult, Session, SessionContext } from '../driver.ts';
import { headerOf } from '../shared/http.ts';
import { quote } from '../shared/tally.ts';
import { PageFetcher } from './http.ts';
import { PageReader } from './page.ts';
import { asksFor, Selection } from './selection.ts';
import { type PrometheusUrl, parsePrometheusUrl } from './url.ts';
import type { ExpositionFormat } from './valueText.ts';

/** A page that takes longer is read in slices, between which other devices have their turn. */
const SLICE_MS = 5;
/** Lines between two looks at the clock. */
const LINES_PER_STEP = 250;

class PrometheusPoll implements Poll {
  readonly #url: PrometheusUrl;
  readonly #context: SessionContext;
  readonly #fetcher: PageFetcher;
  readonly #reader: PageReader;
  #last: { readonly format: ExpositionFormat; readonly bytes: number; readonly series: number } | undefined;

  constructor(url: PrometheusUrl, context: SessionContext, fetcher: PageFetcher, reader: PageReader) {
    this.#url = url;
    this.#context = context;
    this.#fetcher = fetcher;
    this.#reader = reader;
  }

  async read(timeoutMs: number): Promise<PollResult> {
    const reader = this.#reader;
    this.#last = undefined;
    const deadline = performance.now() + timeoutMs;
    const page = await this.#fetcher.fetch(timeoutMs);
    if ('kind' in page) {
      const message = `${this.#url.hostPort} ${page.message}`;
      return {
        up: false,
        timestampUs: this.#context.nowUs(),
        samples: [],
        problems: [{ kind: page.kind, message: message.slice(0, 300) }],
      };
    }
    reader.begin(page.bytes, page.format, page.timestampUs);
    let sliceEnd = performance.now() + SLICE_MS;
    while (!reader.step(LINES_PER_STEP)) {
      if (performance.now() < sliceEnd) continue;
      await letOthersGo();
      sliceEnd = performance.now() + SLICE_MS;
      if (sliceEnd > deadline) reader.stop('timeout', 'there was no time to read the whole page');
    }
    const { samples, problems } = reader.end();
    this.#last = { format: page.format, bytes: page.bytes.length, series: samples.length };
    this.#context.trace?.({
      step: 'read',
      text: `parsed ${page.bytes.length} bytes as ${page.format === 'openmetrics' ? 'OpenMetrics' : 'Prometheus text'}: ${samples.length} series taken, ${problems.length} problems`,
    });
    return { up: true, timestampUs: page.timestampUs, samples, problems };
  }

  describe(): readonly Fact[] {
    const { address, status, headers, receivedBytes } = this.#fetcher.trail;
    const [contentType, contentEncoding] = [
      headerOf(headers, 'content-type'),
      headerOf(headers, 'content-encoding'),
    ];
    const facts: Fact[] = [
      {
        name: 'address',
        text: address === undefined ? '(not connected)' : `${address.ip} tcp port ${address.port}`,
      },
    ];
    if (status === undefined) return facts;
    facts.push({ name: 'status', text: `HTTP ${status}` });
    facts.push({ name: 'content type', text: contentType === '' ? '(none)' : quote(contentType) });
    if (this.#last === undefined) return facts;
    const { format, bytes, series } = this.#last;
    facts.push(
      { name: 'format', text: format === 'openmetrics' ? 'OpenMetrics' : 'Prometheus text format' },
      { name: 'bytes', text: String(bytes) },
      {
        name: 'compression',
        text: contentEncoding === '' ? 'none' : `${quote(contentEncoding)}, ${receivedBytes} bytes received`,
      },
      { name: 'series', text: String(series) },
    );
    return facts;
  }
}

class PrometheusSession implements Session<PrometheusUrl> {
  readonly #url: PrometheusUrl;
  readonly #context: SessionContext;
  readonly #fetcher: PageFetcher;

  constructor(url: PrometheusUrl, context: SessionContext) {
    this.#url = url;
    this.#context = context;
    this.#fetcher = new PageFetcher(url, context);
  }

  plan(metrics: readonly MetricRequest<PrometheusUrl>[]): Poll {
    const reader = new PageReader(new Selection(metrics, this.#context), this.#url.maxSeries);
    return new PrometheusPoll(this.#url, this.#context, this.#fetcher, reader);
  }

  close(): Promise<void> {
    return this.#fetcher.close();
  }
}

export const prometheusDriver: Driver<PrometheusUrl> = {
  schemes: ['prometheus', 'prometheus+https'],
  urlForm: 'prometheus://[user:password@]host:port/[name-name-...]',
  asksFor: (url, metricId) => asksFor(url.names, metricId),
  parseUrl: parsePrometheusUrl,
  open: (_deviceId, url, context) => new PrometheusSession(url, context),
};
