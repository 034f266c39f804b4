/**
 * The Modbus TCP driver: numbers in registers of meters, PDUs and cooling units, or of devices behind a gateway.
 * A poll is `up` when at least one request was answered, be it with an exception.
 */
import type { Sample, Series } from '../../sample.ts';
import type { Driver, Fact, MetricRequest, Poll, PollResult, Session, SessionContext } from '../driver.ts';
import { Tally } from '../shared/tally.ts';
import { type Block, blocksOf, sizeOf, split } from './blocks.ts';
import { type Answer, ModbusConnection, ModbusError } from './connection.ts';
import { decodeNumber } from './decode.ts';
import { type ModbusUrl, parseModbusUrl, URL_FORM } from './url.ts';

interface Item {
  readonly url: ModbusUrl;
  readonly series: Series;
  readonly factor: number;
}

const placeOf = ({ url }: Item) => url;

class ModbusPoll implements Poll {
  readonly #connection: ModbusConnection;
  readonly #context: SessionContext;
  readonly #hostPort: string;
  #blocks: readonly Block<Item>[];
  #raw: Fact[] = [];

  constructor(
    requests: readonly MetricRequest<ModbusUrl>[],
    connection: ModbusConnection,
    context: SessionContext,
  ) {
    this.#connection = connection;
    this.#context = context;
    this.#hostPort = requests[0]?.url.hostPort ?? '';
    const items = requests.map(({ url, deviceId, metricId, labels, scaleFactor }) => ({
      url,
      series: { deviceId, metricId, labels },
      factor: url.scale * (scaleFactor ?? 1),
    }));
    this.#blocks = blocksOf(items, placeOf);
  }

  async read(timeoutMs: number): Promise<PollResult> {
    const deadline = performance.now() + timeoutMs;
    const samples: Sample[] = [];
    const tally = new Tally();
    let timestampUs: number | undefined;
    let up = false;
    this.#raw = [];
    const pending = [...this.#blocks];
    const done: Block<Item>[] = [];
    for (let block = pending.shift(); block !== undefined; block = pending.shift()) {
      try {
        const answer = await this.#connection.read(block, deadline);
        timestampUs ??= answer.timestampUs;
        up = true;
        this.#take(block, answer, samples, tally);
        done.push(block);
      } catch (error) {
        if (!(error instanceof ModbusError)) throw error;
        up ||= !error.isFatal;
        const smaller = error.isAddress ? split(block, placeOf) : undefined;
        if (smaller !== undefined) {
          pending.unshift(...smaller);
          continue;
        }
        done.push(block);
        tally.add(error.kind, error.message, () => `${this.#hostPort} ${error.message}`);
        if (error.isFatal) break;
      }
    }
    // What a device refuses together stays apart.
    this.#blocks = [...done, ...pending];
    return { up, timestampUs: timestampUs ?? this.#context.nowUs(), samples, problems: tally.problems() };
  }

  describe(): readonly Fact[] {
    return [...this.#connection.facts, ...this.#raw.slice(0, 20)];
  }

  #take(
    { start, items }: Block<Item>,
    { bytes, timestampUs }: Answer,
    samples: Sample[],
    tally: Tally,
  ): void {
    for (const { url, series, factor } of items) {
      const { register, type, order } = url;
      const width = type === 'bit' ? 1 : 2;
      const own = bytes.subarray((register - start) * width, (register - start + sizeOf(url)) * width);
      this.#raw.push({ name: `register ${register}`, text: `${own.toString('hex')} as ${type}` });
      const value = type === 'bit' ? (own[0] ?? 0) : decodeNumber(own, type, order);
      if (Number.isNaN(value)) {
        // SunSpec and many meters say so that there is no value.
        const text = `${series.metricId}: register ${register} holds NaN, which is no reading`;
        tally.add('missing', text, () => text);
      } else samples.push({ series, timestampUs, value: value * factor });
    }
  }
}

class ModbusSession implements Session<ModbusUrl> {
  readonly #connection: ModbusConnection;
  readonly #context: SessionContext;

  constructor(url: ModbusUrl, context: SessionContext) {
    this.#connection = new ModbusConnection(url, context);
    this.#context = context;
  }

  plan(metrics: readonly MetricRequest<ModbusUrl>[]): Poll {
    return new ModbusPoll(metrics, this.#connection, this.#context);
  }

  close(): Promise<void> {
    return this.#connection.close();
  }
}

export const modbusDriver: Driver<ModbusUrl> = {
  schemes: ['modbus'],
  urlForm: URL_FORM,
  parseUrl: parseModbusUrl,
  open: (_deviceId, url, context) => new ModbusSession(url, context),
};
