/** A BMC as the collector sees it: its RMCP+ session, its sensors, and the polls that share both. */
import type { Fact, MetricRequest, Session, SessionContext } from '../driver.ts';
import { IpmiPoll, type PollBmc } from './poll.ts';
import type { Command, Reply } from './requester.ts';
import { SdrCache } from './sdrCache.ts';
import { SensorCatalogue } from './sensorCatalogue.ts';
import { IpmiSession } from './session.ts';
import type { IpmiUrl } from './url.ts';

export class BmcSession implements Session<IpmiUrl>, PollBmc {
  readonly catalogue: SensorCatalogue;
  readonly #session: IpmiSession;
  readonly #context: SessionContext;

  constructor(url: IpmiUrl, context: SessionContext) {
    this.#session = new IpmiSession(url, context);
    this.#context = context;
    const { dataFolder } = context;
    const cache = dataFolder === undefined ? undefined : new SdrCache(dataFolder, url.hostPort);
    this.catalogue = new SensorCatalogue(this, url.hostPort, cache);
  }

  nowUs(): number {
    return this.#context.nowUs();
  }

  get answers(): number {
    return this.#session.answers;
  }

  request(command: Command, timeoutMs: number): Promise<Reply> {
    return this.#session.request(command, timeoutMs);
  }

  plan(metrics: readonly MetricRequest<IpmiUrl>[]): IpmiPoll {
    return new IpmiPoll(this, metrics);
  }

  describe(): readonly Fact[] {
    return this.#session.describe();
  }

  close(): Promise<void> {
    return this.#session.close();
  }
}
