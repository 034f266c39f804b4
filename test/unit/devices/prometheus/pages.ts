/** Reads a page as a poll would, for the tests of this folder. */
import type { MetricRequest, Problem, SessionContext } from '../../../../src/lib/devices/driver.ts';
import { PageReader } from '../../../../src/lib/devices/prometheus/page.ts';
import { Selection } from '../../../../src/lib/devices/prometheus/selection.ts';
import { type PrometheusUrl, parsePrometheusUrl } from '../../../../src/lib/devices/prometheus/url.ts';
import type { ExpositionFormat } from '../../../../src/lib/devices/prometheus/valueText.ts';
import type { Labels, Sample } from '../../../../src/lib/sample.ts';

/** 2026-11-22T10:00:00Z: when every page of these tests was read. */
export const NOW_US = 1_795_341_600_000_000;

export interface ReaderOptions {
  readonly names?: readonly string[];
  readonly labels?: Labels;
  readonly scaleFactor?: number;
  readonly maxSeries?: number;
  /** `device/metric` names that collectors read. */
  readonly configured?: readonly string[];
}

function request(url: string, labels: Labels = {}, scaleFactor?: number): MetricRequest<PrometheusUrl> {
  const parsed = parsePrometheusUrl(url, { resolveSecret: (text) => text });
  return { url: parsed, deviceId: 'node-1', metricId: 'prom_all', labels, scaleFactor };
}

export function reader(options: ReaderOptions = {}): PageReader {
  const context: SessionContext = {
    nowUs: () => NOW_US,
    isConfiguredMetric: (device, metric) => options.configured?.includes(`${device}/${metric}`) ?? false,
  };
  const url = `prometheus://node-1:9100/${(options.names ?? []).join('-')}`;
  const selection = new Selection([request(url, options.labels, options.scaleFactor)], context);
  return new PageReader(selection, options.maxSeries ?? 50_000);
}

export interface ReadPage {
  readonly samples: readonly Sample[];
  readonly problems: readonly Problem[];
}

export function read(
  pageReader: PageReader,
  page: string | Buffer,
  format: ExpositionFormat = 'text',
  timestampUs = NOW_US,
): ReadPage {
  pageReader.begin(Buffer.from(page), format, timestampUs);
  while (!pageReader.step(1000));
  return pageReader.end();
}

/** `metric{labels} value` and, if it is not that of the page, `@microseconds`. */
export function show(samples: readonly Sample[], timestampUs = NOW_US): string[] {
  return samples.map(({ series, value, timestampUs: at }) => {
    const labels = Object.entries(series.labels).map(([name, text]) => `${name}=${JSON.stringify(text)}`);
    return `${series.metricId}{${labels.join(',')}} ${value}${at === timestampUs ? '' : ` @${at}`}`;
  });
}

/** Samples of a page of its own. */
export function samplesOf(
  page: string,
  format: ExpositionFormat = 'text',
  options: ReaderOptions = {},
): string[] {
  const { samples, problems } = read(reader(options), page, format);
  if (problems.length > 0) throw new Error(`unexpected: ${JSON.stringify(problems)}`);
  return show(samples);
}
