/** Reads the power of the whole system over DCMI: one Get Power Reading feeds every metric of it. */
import { formatUtc } from '../../time.ts';
import type { Fact } from '../driver.ts';
import {
  DCMI_GROUP,
  decodePowerReading,
  GET_POWER_READING,
  POWER_READING_REQUEST,
  type PowerReading,
} from './dcmi.ts';
import { type Item, type Pass, problemOfAll, type ReadTask } from './readTask.ts';
import { Code, type Command, codeText, NetFn, type Reply } from './requester.ts';

const COMMAND: Command = { netFn: NetFn.group, command: GET_POWER_READING, data: POWER_READING_REQUEST };

/** What a URL may ask for, behind the host. */
const QUANTITIES = {
  power: 'currentWatts',
  'power/minimum': 'minimumWatts',
  'power/maximum': 'maximumWatts',
  'power/average': 'averageWatts',
} as const satisfies Readonly<Record<string, keyof PowerReading>>;

type Quantity = keyof typeof QUANTITIES;

export const DCMI_QUANTITIES = Object.keys(QUANTITIES) as readonly Quantity[];

export function isDcmiQuantity(text: string): text is Quantity {
  return Object.hasOwn(QUANTITIES, text);
}

export class PowerTask implements ReadTask {
  readonly items: readonly Item[];
  readonly name = 'DCMI power';
  readonly command = COMMAND;
  isSilent = false;
  #code = 0;
  #reading: PowerReading | undefined;

  constructor(items: readonly Item[]) {
    this.items = items;
  }

  keep(reply: Reply): undefined {
    this.#code = reply.completionCode;
    this.#reading = this.#code === Code.success ? decodePowerReading(reply.data) : undefined;
  }

  take(timestampUs: number, pass: Pass): void {
    const reading = this.#reading;
    if (this.#code !== Code.success) {
      const isUnknown = this.#code === Code.invalidCommand || this.#code === Code.invalidForLun;
      const what = isUnknown ? 'the BMC has no DCMI power reading' : 'DCMI power reading';
      const kind = isUnknown ? 'missing' : this.#code === Code.noPrivilege ? 'auth' : 'protocol';
      problemOfAll(this.items, kind, `${what}: ${codeText(this.#code)}`, pass);
    } else if (!reading) {
      problemOfAll(this.items, 'protocol', 'the answer is no DCMI power reading', pass);
    } else if (!reading.isActive) {
      problemOfAll(this.items, 'missing', 'the BMC does not measure power at the moment (DCMI)', pass);
    } else {
      for (const { metric, series, scale } of this.items) {
        const value = reading[QUANTITIES[metric.url.target as Quantity]];
        pass.samples.push({ series, timestampUs, value: value * scale });
      }
    }
  }

  /** The watts of the last answer; undefined when there were none. */
  value(): number | undefined {
    return this.#reading?.isActive ? this.#reading.currentWatts : undefined;
  }

  describe(): readonly Fact[] {
    const reading = this.#reading;
    if (!reading) return [];
    const { currentWatts, minimumWatts, maximumWatts, averageWatts, periodMs, timestampSeconds } = reading;
    return [
      {
        name: 'DCMI',
        text: `Get Power Reading (group 0x${DCMI_GROUP.toString(16)}), system power statistics`,
      },
      { name: 'now', text: `${currentWatts} W` },
      {
        name: 'statistics',
        text: `minimum ${minimumWatts} W, maximum ${maximumWatts} W, average ${averageWatts} W over ${periodMs} ms`,
      },
      { name: 'BMC clock', text: formatUtc(timestampSeconds * 1e6) },
      { name: 'measuring', text: reading.isActive ? 'yes' : 'no' },
    ];
  }
}
