/**
 * Reads several sensors of one BMC in one pass, one request after the other, since BMCs break on more. All samples of
 * a pass carry the middle between its first request and its last answer.
 *
 * A sensor that does not answer may use half of the time that is left, and is asked last from then on: it costs the
 * others nothing but the first time. An error of the session ends the pass.
 */
import { append } from '../../append.ts';
import type { Fact, MetricRequest, Poll, PollResult, Problem } from '../driver.ts';
import { quote } from '../shared/tally.ts';
import { IpmiError } from './errors.ts';
import { PowerTask } from './powerTask.ts';
import { type Item, makeItem, type Pass, type ReadTask, readTask } from './readTask.ts';
import type { Requester } from './requester.ts';
import type { SensorCatalogue } from './sensorCatalogue.ts';
import { obstacle, SensorTask } from './sensorTask.ts';
import type { IpmiUrl } from './url.ts';

/** Of the time of a poll, kept for the sum of what happens around the requests. */
const SLACK_MS = 5;
/** A request that has less time is not sent. */
const MIN_REQUEST_MS = 20;

/** What a poll needs of its session. */
export interface PollBmc extends Requester {
  readonly catalogue: SensorCatalogue;
  nowUs(): number;
  /** Answers of any kind so far. */
  readonly answers: number;
  describe(): readonly Fact[];
}

export class IpmiPoll implements Poll {
  readonly #bmc: PollBmc;
  readonly #sensorItems: readonly Item[];
  readonly #power: PowerTask | undefined;
  #sensorTasks: SensorTask[] = [];
  /** Of sensors that cannot be read, as the records tell. */
  #obstacles: readonly Problem[] = [];
  #generation = -1;

  constructor(bmc: PollBmc, metrics: readonly MetricRequest<IpmiUrl>[]) {
    this.#bmc = bmc;
    const items = metrics.map(makeItem);
    const powerItems = items.filter(({ metric }) => metric.url.scheme === 'ipmi-dcmi');
    this.#sensorItems = items.filter(({ metric }) => metric.url.scheme === 'ipmisensor');
    this.#power = powerItems.length > 0 ? new PowerTask(powerItems) : undefined;
  }

  async read(timeoutMs: number): Promise<PollResult> {
    const deadlineMs = performance.now() + timeoutMs - SLACK_MS;
    const { answers } = this.#bmc;
    const problems: Problem[] = [];
    if (this.#sensorItems.length > 0) {
      // Power needs no records: it gets its turn even if they take all the time there is.
      const readyMs = this.#power ? (performance.now() + deadlineMs) / 2 : deadlineMs;
      const failure = await this.#bmc.catalogue.ready(readyMs);
      if (failure) problems.push(failure);
      this.#layOut();
      problems.push(...this.#obstacles);
    }
    const tasks: ReadTask[] = this.#power ? [this.#power, ...this.#sensorTasks] : this.#sensorTasks;
    // Without records and without an answer there is nothing more to learn.
    const isHopeless = problems.length > 0 && this.#bmc.answers === answers && tasks.length === 0;
    const pass: Pass = { samples: [], problems };
    const times = isHopeless ? undefined : await this.#readAll(tasks, deadlineMs, pass);
    const timestampUs = times ? Math.round((times.firstUs + times.lastUs) / 2) : this.#bmc.nowUs();
    for (const task of times?.answered ?? []) task.take(timestampUs, pass);
    if (this.#sensorTasks.some(({ isGone }) => isGone)) this.#bmc.catalogue.checkSoon();
    return {
      up: this.#bmc.answers > answers,
      timestampUs,
      samples: pass.samples,
      problems: pass.problems,
    };
  }

  /** Finds the sensors of the metrics, when the records have changed. */
  #layOut(): void {
    const { catalogue } = this.#bmc;
    if (!catalogue.sensors || this.#generation === catalogue.generation) return;
    this.#generation = catalogue.generation;
    const problems: Problem[] = [];
    const bySensor = new Map<SensorTask['sensor'], Item[]>();
    for (const item of this.#sensorItems) {
      const { metricId, url } = item.metric;
      const sensor = catalogue.find(url.target);
      const problem = sensor
        ? obstacle(sensor)
        : ({ kind: 'missing', message: catalogue.notFound(url.target) } as const);
      if (problem) problems.push({ ...problem, metricId });
      else if (sensor) append(bySensor, sensor, item);
    }
    this.#sensorTasks = [...bySensor].map(([sensor, items]) => new SensorTask(sensor, items));
    this.#obstacles = problems;
  }

  async #readAll(
    tasks: readonly ReadTask[],
    deadlineMs: number,
    { problems }: Pass,
  ): Promise<{ answered: ReadTask[]; firstUs: number; lastUs: number } | undefined> {
    const ordered = tasks.some(({ isSilent }) => isSilent)
      ? [...tasks].sort((a, b) => Number(a.isSilent) - Number(b.isSilent))
      : tasks;
    const answered: ReadTask[] = [];
    const silent: { task: ReadTask; error: IpmiError }[] = [];
    let firstUs = 0;
    let lastUs = 0;
    for (let index = 0; index < ordered.length; index++) {
      const task = ordered[index] as ReadTask;
      const leftMs = deadlineMs - performance.now();
      if (leftMs < MIN_REQUEST_MS) {
        tellLate(ordered.slice(index), problems);
        break;
      }
      try {
        const shareMs = index === ordered.length - 1 ? leftMs : Math.max(leftMs / 2, MIN_REQUEST_MS);
        const reply = await readTask(task, this.#bmc, shareMs);
        task.isSilent = false;
        answered.push(task);
        if (firstUs === 0) firstUs = reply.requestUs;
        lastUs = reply.answerUs;
      } catch (error) {
        if (!(error instanceof IpmiError)) throw error;
        if (error.kind !== 'timeout') {
          problems.push(error.toProblem());
          break;
        }
        silent.push({ task, error });
      }
    }
    tellSilent(silent, answered.length > 0, problems);
    return answered.length > 0 ? { answered, firstUs, lastUs } : undefined;
  }

  describe(): readonly Fact[] {
    const facts = [...this.#bmc.describe()];
    if (this.#sensorItems.length > 0 && this.#bmc.catalogue.origin !== '')
      facts.push({ name: 'sensor records', text: this.#bmc.catalogue.origin });
    if (this.#power) facts.push(...this.#power.describe());
    for (const task of this.#sensorTasks) facts.push(...task.describe());
    return facts;
  }
}

/** A BMC that answers nothing has one problem, not one for each sensor. */
function tellSilent(
  silent: readonly { task: ReadTask; error: IpmiError }[],
  isUp: boolean,
  problems: Problem[],
): void {
  const [first] = silent;
  if (!first) return;
  if (!isUp) {
    problems.push(first.error.toProblem());
    return;
  }
  for (const { task, error } of silent) {
    task.isSilent = true;
    for (const { metric } of task.items)
      problems.push({
        kind: 'timeout',
        message: `${quote(task.name)}: ${error.message}`,
        metricId: metric.metricId,
      });
  }
}

/** Sensors for which the pass had no time left. */
function tellLate(tasks: readonly ReadTask[], problems: Problem[]): void {
  const count = tasks.reduce((sum, { items }) => sum + items.length, 0);
  const message = `no time left for ${count === 1 ? 'one metric' : `${count} metrics`} of this BMC`;
  problems.push({ kind: 'timeout', message, count });
}
