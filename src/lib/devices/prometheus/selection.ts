/**
 * From a series on a page to the series that kw stores: which entry wants it, its name, its labels; and what users
 * may say through `kwollect_custom`. Users are root on their nodes, so that whatever stands on a page is theirs to
 * write: labels that begin with `_` come only from configuration, and names that collectors read stay the collectors'.
 *
 * - `node_load1{...}` becomes metric `prom_node_load1` with its labels and those of the entry; the entry's win.
 * - `kwollect_custom{_metric_id="m",_timestamp="1700000000.5",...}` becomes metric `m` of the entry's own device.
 *   Kwollect's label `_metric_origin` is kept; its `_metric_scrape_time` is not, since a label that differs in each
 *   row makes each row a segment of a compressed chunk.
 *
 * A label without text is no label, as in Prometheus: node_exporter gives every series of a name all the labels that
 * any of them has, so that one user's labels would otherwise stand empty in the series of the others.
 */
import { labelsProblem, nameProblem } from '../../limits.ts';
import type { Labels, Series } from '../../sample.ts';
import type { MetricRequest, ProblemKind, SessionContext } from '../driver.ts';
import { quote } from '../shared/tally.ts';
import { parseSecondsUs } from './numbers.ts';
import type { SeriesText } from './seriesText.ts';
import type { PrometheusUrl } from './url.ts';

const METRIC_PREFIX = 'prom_';
export const CUSTOM_NAME = 'kwollect_custom';

/** What a series on the page becomes. */
export interface Selected {
  readonly series: Series;
  /** Values are multiplied by it. */
  readonly scaleFactor: number;
  /** A user's own metric: its name must be checked at each poll, since configuration may claim it later. */
  readonly custom: boolean;
  /** The time that `_timestamp` gives. */
  readonly timestampUs: number | undefined;
  /** How many labels were removed because they begin with `_`. */
  readonly removedLabels: number;
}

export interface Refused {
  readonly kind: ProblemKind;
  /** One of few, for counting. */
  readonly reason: string;
  readonly message: string;
}

type PageLabels = SeriesText['labels'];
type PrometheusRequest = MetricRequest<PrometheusUrl>;

export class Selection {
  readonly #byName = new Map<string, PrometheusRequest>();
  readonly #any: PrometheusRequest | undefined;
  readonly #context: SessionContext;

  constructor(requests: readonly PrometheusRequest[], context: SessionContext) {
    this.#context = context;
    this.#any = requests.find((request) => request.url.names === undefined);
    for (const request of requests)
      for (const name of request.url.names ?? [])
        if (!this.#byName.has(name)) this.#byName.set(name, request);
  }

  /** Names that an entry asks for by name. */
  get names(): IterableIterator<string> {
    return this.#byName.keys();
  }

  wantsByName(name: string): boolean {
    return this.#byName.has(name);
  }

  wants(name: string): boolean {
    return this.#any !== undefined || this.#byName.has(name);
  }

  /** What becomes of a series; undefined when no entry asks for it. */
  select(text: SeriesText): Selected | Refused | undefined {
    const request = this.#byName.get(text.name) ?? this.#any;
    if (request === undefined) return undefined;
    const labels = text.labels.filter(([, value]) => value !== '');
    return text.name === CUSTOM_NAME
      ? this.#custom(labels, request)
      : this.#ordinary(text.name, labels, request);
  }

  #ordinary(name: string, labels: PageLabels, request: PrometheusRequest): Selected | Refused {
    const kept = labels.filter(([label]) => !label.startsWith('_'));
    return store(METRIC_PREFIX + name, kept, request, {
      scaleFactor: request.scaleFactor ?? 1,
      custom: false,
      timestampUs: undefined,
      removedLabels: labels.length - kept.length,
    });
  }

  #custom(labels: PageLabels, request: PrometheusRequest): Selected | Refused {
    let metricId = METRIC_PREFIX + CUSTOM_NAME;
    let timestampUs: number | undefined;
    let removedLabels = 0;
    const kept: (readonly [string, string])[] = [];
    for (const label of labels) {
      const [name, value] = label;
      if (name === '_metric_id') {
        metricId = value;
      } else if (name === '_timestamp') {
        timestampUs = parseSecondsUs(value.trim());
        if (timestampUs === undefined) {
          return {
            kind: 'value',
            reason: '_timestamp',
            message: `_timestamp ${quote(value)} of ${CUSTOM_NAME} is not a number of seconds since 1970`,
          };
        }
      } else if (name.startsWith('_')) removedLabels++;
      else kept.push(label);
    }
    const custom = metricId !== METRIC_PREFIX + CUSTOM_NAME;
    if (custom && metricId.startsWith(METRIC_PREFIX)) {
      return {
        kind: 'dropped',
        reason: 'reserved prefix',
        message: `${CUSTOM_NAME} may not name a metric that begins with ${METRIC_PREFIX}, as ${quote(metricId)} does`,
      };
    }
    return store(metricId, [...kept, ['_metric_origin', METRIC_PREFIX + CUSTOM_NAME]], request, {
      scaleFactor: 1,
      custom,
      timestampUs,
      removedLabels,
    });
  }

  /** Whether a user's own metric takes a name that a collector reads, for the device or its alias. */
  isForeign(series: Series): boolean {
    const alias = series.labels._device_alias;
    return (
      this.#context.isConfiguredMetric(series.deviceId, series.metricId) ||
      (alias !== undefined && this.#context.isConfiguredMetric(alias, series.metricId))
    );
  }
}

/** Whether an entry for these names on the page, or for all, gives a metric. */
export function asksFor(names: readonly string[] | undefined, metricId: string): boolean {
  return names === undefined || names.some((name) => metricId === METRIC_PREFIX + name);
}

function store(
  metricId: string,
  labels: readonly (readonly [string, string])[],
  request: PrometheusRequest,
  rest: Omit<Selected, 'series'>,
): Selected | Refused {
  const merged: Labels = Object.fromEntries([...labels, ...Object.entries(request.labels)]);
  const problem = nameProblem('metric', metricId) ?? labelsProblem(merged);
  if (problem !== undefined)
    return { kind: 'limit', reason: 'series limit', message: `${problem}: series ${quote(metricId)}` };
  return { series: { deviceId: request.deviceId, metricId, labels: merged }, ...rest };
}
