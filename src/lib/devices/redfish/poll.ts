/**
 * One poll of a BMC: each resource once, one after another, and out of it every value that entries ask for.
 *
 * A resource takes a BMC 0.1 to several seconds. So each has its own timestamp, and when the time of a poll is over the
 * next poll begins with the resource that was not read.
 */
import { append } from '../../append.ts';
import { labelsProblem } from '../../limits.ts';
import type { Labels, Sample, Series } from '../../sample.ts';
import type { Fact, MetricRequest, Poll, PollResult, Problem, SessionContext } from '../driver.ts';
import { deviceText } from '../naming.ts';
import { follow, formatPointer } from '../shared/pointer.ts';
import { quote, Tally } from '../shared/tally.ts';
import type { RedfishClient, Resource } from './client.ts';
import { RedfishError } from './failure.ts';
import type { GroupReading } from './groups.ts';
import type { SourceFinder } from './sourceFinder.ts';
import type { Group, RedfishUrl } from './url.ts';
import { readingOf } from './value.ts';

type Request = MetricRequest<RedfishUrl>;

/** One resource to read, and what to make of it. */
interface Task {
  readonly path: string;
  take(resource: Resource, into: Collected): void;
}

interface Collected {
  readonly samples: Sample[];
  readonly tally: Tally;
}

/** Series are kept by what they are made of, so that the same object is handed out at each poll. */
class SeriesCache {
  readonly #request: Request;
  readonly #series = new Map<string, Series | string>();

  constructor(request: Request) {
    this.#request = request;
  }

  /** The series with these labels, or why it cannot be stored. Labels of the entry win. */
  get(labels: Labels): Series | string {
    const key = Object.values(labels).join('\0');
    const known = this.#series.get(key);
    if (known !== undefined) return known;
    const { deviceId, metricId, labels: own } = this.#request;
    const merged = { ...labels, ...own };
    const made = labelsProblem(merged) ?? { deviceId, metricId, labels: merged };
    // Texts may be without number (a clock): old ones are forgotten together.
    if (this.#series.size >= MAX_SERIES) this.#series.clear();
    this.#series.set(key, made);
    return made;
  }
}

const MAX_SERIES = 4096;
/** Texts of BMCs are cut to this as labels. */
const MAX_TEXT = 200;

interface GroupRequest {
  readonly request: Request;
  readonly group: Group;
  readonly cache: SeriesCache;
}

export class RedfishPoll implements Poll {
  readonly #url: RedfishUrl | undefined;
  readonly #client: RedfishClient;
  readonly #finder: SourceFinder;
  readonly #context: SessionContext;
  readonly #values: readonly {
    readonly request: Request;
    readonly path: string;
    readonly cache: SeriesCache;
  }[];
  readonly #groups: readonly {
    readonly request: Request;
    readonly group: Group;
    readonly cache: SeriesCache;
  }[];
  /** The path that the last poll had no time for. */
  #resumeAt: string | undefined;
  #read: string[] = [];

  constructor(
    requests: readonly Request[],
    client: RedfishClient,
    finder: SourceFinder,
    context: SessionContext,
  ) {
    this.#url = requests[0]?.url;
    this.#client = client;
    this.#finder = finder;
    this.#context = context;
    const withCache = requests.map((request) => ({ request, cache: new SeriesCache(request) }));
    this.#values = withCache.flatMap(({ request, cache }) =>
      request.url.target.kind === 'value' ? [{ request, cache, path: request.url.target.path }] : [],
    );
    this.#groups = withCache.flatMap(({ request, cache }) =>
      request.url.target.kind === 'group' ? [{ request, cache, group: request.url.target.group }] : [],
    );
  }

  async read(timeoutMs: number): Promise<PollResult> {
    const deadline = performance.now() + timeoutMs;
    const into: Collected = { samples: [], tally: new Tally() };
    let timestampUs: number | undefined;
    this.#read = [];
    const run = async (tasks: readonly Task[]) => {
      const byPath = groupByPath(tasks);
      const paths = startingAt([...byPath.keys()], this.#resumeAt);
      this.#resumeAt = undefined;
      for (const path of paths) {
        const resource = await this.#fetch(path, deadline, into);
        if (resource === undefined) continue;
        timestampUs ??= resource.timestampUs;
        this.#read.push(path);
        for (const task of byPath.get(path) ?? []) task.take(resource, into);
      }
    };
    try {
      const known = this.#groups.filter(({ group }) => this.#finder.known(group) !== undefined);
      await run([...this.#valueTasks(), ...known.flatMap((one) => this.#groupTasks(one, into))]);
      // Searches come last: they may take more than the rest of a poll, and go on in the next one.
      for (const one of this.#groups) {
        if (known.includes(one)) continue;
        const failures = await this.#finder.search(one.group, deadline);
        for (const failure of failures) this.#complain(failure, into);
        await run(this.#groupTasks(one, into));
      }
    } catch (error) {
      if (!(error instanceof RedfishError)) throw error;
      this.#complain(error, into);
    }
    for (const notice of this.#client.takeNotices())
      into.tally.add(notice.kind, notice.message, () => notice.message);
    return {
      up: timestampUs !== undefined,
      timestampUs: timestampUs ?? this.#context.nowUs(),
      samples: into.samples,
      problems: into.tally.problems(),
    };
  }

  describe(): readonly Fact[] {
    const { address, status } = this.#client.trail;
    const facts: Fact[] = [
      {
        name: 'address',
        text: address === undefined ? '(not connected)' : `${address.ip} tcp port ${address.port}`,
      },
    ];
    if (status !== undefined) facts.push({ name: 'status', text: `HTTP ${status}` });
    facts.push({ name: 'login', text: this.#client.identity });
    for (const path of this.#read.slice(0, 20)) facts.push({ name: 'resource', text: deviceText(path) });
    return facts;
  }

  #valueTasks(): Task[] {
    return this.#values.map(({ request, path, cache }) => ({
      path,
      take: (resource, into) => this.#takeValue(resource, request, cache, into),
    }));
  }

  /** The resources of a group that has been found. */
  #groupTasks(one: GroupRequest, { tally }: Collected): Task[] {
    const sources = this.#finder.known(one.group) ?? [];
    if (sources.length === 0) {
      const message = `${this.#url?.hostPort} offers no ${one.group} readings in any chassis`;
      tally.add('missing', message, () => message);
    }
    return sources.map(({ path, chassis, readings }) => ({
      path,
      take: (resource, into) => {
        for (const reading of readings(resource.body))
          this.#takeReading(resource, chassis, reading, one, into);
      },
    }));
  }

  /** Undefined when only this resource has failed. @throws RedfishError when the rest need not be tried */
  async #fetch(path: string, deadline: number, into: Collected): Promise<Resource | undefined> {
    try {
      return await this.#client.get(path, deadline);
    } catch (error) {
      if (!(error instanceof RedfishError)) throw error;
      if (error.kind === 'timeout') this.#resumeAt = path;
      if (error.gone) this.#finder.forget(path);
      if (error.scope === 'device') throw error;
      this.#complain(error, into);
      return undefined;
    }
  }

  #complain({ kind, message }: Pick<Problem, 'kind' | 'message'>, { tally }: Collected): void {
    const text = `${this.#url?.hostPort} ${message}`;
    tally.add(kind, text, () => text);
  }

  #takeValue(resource: Resource, request: Request, cache: SeriesCache, into: Collected): void {
    const { target } = request.url;
    if (target.kind !== 'value') return;
    const pointed = follow(resource.body, target.pointer);
    const where = () => `${deviceText(resource.path)}#${formatPointer(target.pointer)}`;
    if (pointed === undefined) {
      into.tally.add('missing', where(), () => `the resource has no ${where()}`);
      return;
    }
    this.#store(resource, pointed, where, request.scaleFactor, (text) => cache.get(text), into);
  }

  #takeReading(
    resource: Resource,
    chassis: string,
    reading: GroupReading,
    { request, group, cache }: GroupRequest,
    into: Collected,
  ): void {
    const labels = { chassis: deviceText(chassis), sensor: deviceText(reading.sensor) };
    const series = (text: Labels) => cache.get({ ...labels, ...text });
    const where = () => `${group} sensor ${quote(reading.sensor)}`;
    // One line for all sensors without a reading: a server has a dozen empty sockets.
    this.#store(resource, reading, where, request.scaleFactor, series, into, group);
  }

  #store(
    { timestampUs }: Resource,
    { value, holder }: { readonly value: unknown; readonly holder: unknown },
    where: () => string,
    scaleFactor: number | undefined,
    seriesOf: (text: Labels) => Series | string,
    { samples, tally }: Collected,
    tallyAs = where(),
  ): void {
    const reading = readingOf(value, holder);
    if (reading.kind === 'none' || reading.kind === 'bad') {
      const kind = reading.kind === 'none' ? 'missing' : 'value';
      const text = reading.kind === 'none' ? `has ${reading.reason}` : reading.reason;
      tally.add(kind, `${tallyAs} ${text}`, () => `${where()} ${text}`);
      return;
    }
    const isText = reading.kind === 'text';
    const series = seriesOf(isText ? { value_str: deviceText(reading.text, MAX_TEXT) } : {});
    if (typeof series === 'string') tally.add('limit', series, () => `${series}: ${where()}`);
    else
      samples.push({ series, timestampUs, value: isText ? Number.NaN : reading.number * (scaleFactor ?? 1) });
  }
}

/** The same paths, beginning with one of them. */
function startingAt(paths: readonly string[], first: string | undefined): readonly string[] {
  const at = first === undefined ? -1 : paths.indexOf(first);
  return at <= 0 ? paths : [...paths.slice(at), ...paths.slice(0, at)];
}

function groupByPath(tasks: readonly Task[]): Map<string, Task[]> {
  const groups = new Map<string, Task[]>();
  for (const task of tasks) append(groups, task.path, task);
  return groups;
}
