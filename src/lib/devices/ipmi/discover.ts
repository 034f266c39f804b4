/** What a BMC offers: its DCMI power, and every sensor that has a reading, under names after Prometheus's rules. */
import type {
  DiscoverOptions,
  Discovery,
  Fact,
  Finding,
  Problem,
  SessionContext,
  UrlContext,
} from '../driver.ts';
import { baseUnit, deviceText, rankOfUnit, sensorMetricName, writableSecret } from '../naming.ts';
import { parametersOf, splitUrl } from '../shared/urlParts.ts';
import { BmcSession } from './bmcSession.ts';
import { IpmiError } from './errors.ts';
import { PowerTask } from './powerTask.ts';
import { readTask } from './readTask.ts';
import { Code, NetFn } from './requester.ts';
import type { Sensor } from './sdrRecord.ts';
import { obstacle, SensorTask } from './sensorTask.ts';
import { unitsText } from './units.ts';
import { type IpmiUrl, parseIpmiUrl, splitTarget } from './url.ts';

/** BMCs measure slowly: most renew their sensors every few seconds. */
const PERIOD_MS = 5_000;
const REQUEST_TIMEOUT_MS = 3_000;
/** How often the progress of the records is told. */
const PROGRESS_MS = 250;
const DCMI_LABEL = 'DCMI';

/** The URL of a BMC, with what its findings are written with. */
export interface IpmiDeviceUrl extends IpmiUrl {
  /** Between `://` and the name of a sensor, and behind it; secrets are references. */
  readonly written: { readonly before: string; readonly behind: string };
}

/** As parseIpmiUrl; the last part may be missing. @throws DeviceUrlError */
export function parseIpmiDeviceUrl(text: string, context: UrlContext): IpmiDeviceUrl {
  const url = parseIpmiUrl(text, context);
  const { user, password, host, path } = splitUrl(text, '');
  const userinfo =
    user === undefined
      ? ''
      : `${user.text}${password ? `:${writableSecret(password.text, 'BMC_PASSWORD')}` : ''}@`;
  const authority = text.slice(host.offset).split(/[/?]/, 1)[0] ?? '';
  // By the name that is meant: `k%67` is the key too.
  const behind = [...parametersOf(splitTarget(text, path.offset).query)]
    .map(({ name, text: written, value }) =>
      name === 'kg' ? `kg=${writableSecret(value.text, 'BMC_KG')}` : written,
    )
    .join('&');
  return {
    ...url,
    written: { before: `${userinfo}${authority}/`, behind: behind === '' ? '' : `?${behind}` },
  };
}

export async function discoverIpmi(
  _deviceId: string,
  url: IpmiUrl,
  context: SessionContext,
  options: DiscoverOptions,
): Promise<Discovery> {
  const bmc = new BmcSession(url, context);
  const onAbort = () => void bmc.close();
  options.signal?.addEventListener('abort', onAbort);
  if (options.signal?.aborted) onAbort();
  try {
    return await new Discoverer(bmc, url, options).run();
  } finally {
    options.signal?.removeEventListener('abort', onAbort);
    await bmc.close();
  }
}

class Discoverer {
  readonly #bmc: BmcSession;
  readonly #url: IpmiUrl;
  readonly #options: DiscoverOptions;
  readonly #deadlineMs: number;
  readonly #problems: Problem[] = [];
  readonly #findings: Finding[] = [];
  readonly #profiles: string[] = [];

  constructor(bmc: BmcSession, url: IpmiUrl, options: DiscoverOptions) {
    this.#bmc = bmc;
    this.#url = url;
    this.#options = options;
    this.#deadlineMs = performance.now() + options.timeoutMs;
  }

  async run(): Promise<Discovery> {
    let about: readonly Fact[] = [];
    const { profile } = this.#options;
    try {
      this.#options.onProgress?.(`asking ${this.#url.hostPort}`);
      about = await this.#about();
      if (profile === undefined || profile === 'dcmi') await this.#power();
      if (profile === undefined || profile === 'sensors') await this.#sensors();
    } catch (error) {
      if (!(error instanceof IpmiError)) throw error;
      this.#problems.push(
        this.#options.signal?.aborted ? { kind: 'timeout', message: 'stopped' } : error.toProblem(),
      );
    }
    return { profiles: this.#profiles, findings: this.#findings, problems: this.#problems, about };
  }

  #leftMs(): number {
    return Math.max(1, Math.min(this.#deadlineMs - performance.now(), REQUEST_TIMEOUT_MS));
  }

  /** Get Device ID (section 20.1). */
  async #about(): Promise<Fact[]> {
    const { completionCode, data } = await this.#bmc.request(
      { netFn: NetFn.app, command: 0x01 },
      Math.max(1, this.#deadlineMs - performance.now()),
    );
    if (completionCode !== 0 || data.length < 11) return [];
    const minor = (data[3] as number).toString(16).padStart(2, '0');
    return [
      { name: 'firmware', text: `${(data[2] as number) & 0x7f}.${minor}` },
      { name: 'manufacturer', text: `IANA enterprise ${data.readUIntLE(6, 3) & 0x0f_ffff}` },
      { name: 'product', text: String(data.readUInt16LE(9)) },
    ];
  }

  async #power(): Promise<void> {
    const task = new PowerTask([]);
    const { completionCode } = await readTask(task, this.#bmc, this.#leftMs());
    const value = task.value();
    if (completionCode === Code.noPrivilege) {
      const message = 'the user may not read DCMI power with this privilege: try ?privilege=operator';
      this.#problems.push({ kind: 'auth', message });
    }
    if (value === undefined) return;
    this.#profiles.push('dcmi');
    this.#findings.push({
      metricId: 'bmc_node_power_watt',
      url: this.#written('ipmi-dcmi', 'power'),
      unit: 'watt',
      description: 'Power of the whole node, as the BMC measures it (DCMI)',
      labels: { sensor: DCMI_LABEL },
      periodMs: PERIOD_MS,
      value,
      rank: 0,
    });
  }

  async #sensors(): Promise<void> {
    const { catalogue } = this.#bmc;
    for (;;) {
      const nowMs = performance.now();
      const problem = await catalogue.ready(Math.min(this.#deadlineMs, nowMs + PROGRESS_MS));
      if (!problem) break;
      if (!catalogue.isLoading || performance.now() >= this.#deadlineMs) {
        this.#problems.push(problem);
        return;
      }
      this.#options.onProgress?.(problem.message);
    }
    const sensors = catalogue.sensors ?? [];
    let read = 0;
    for (const sensor of sensors) {
      this.#options.onProgress?.(`${++read} of ${sensors.length} sensors read`);
      const finding = await this.#sensor(sensor);
      if (finding) this.#findings.push(finding);
      if (performance.now() < this.#deadlineMs) continue;
      const message = `the time is over after ${read} of ${sensors.length} sensors: give a longer --timeout`;
      this.#problems.push({ kind: 'timeout', message });
      break;
    }
    if (this.#findings.some(({ url }) => url.startsWith('ipmisensor:'))) this.#profiles.push('sensors');
  }

  async #sensor(sensor: Sensor): Promise<Finding | undefined> {
    if (obstacle(sensor)) return undefined;
    const task = new SensorTask(sensor, []);
    try {
      await readTask(task, this.#bmc, this.#leftMs());
    } catch (error) {
      // One sensor that does not answer is not the end; the session's end is.
      if (!(error instanceof IpmiError) || error.kind !== 'timeout' || this.#options.signal?.aborted)
        throw error;
    }
    const value = task.value();
    // States are for those who ask for all: a value of text is no curve.
    if (typeof value !== 'number' && !this.#options.all) return undefined;
    return this.#finding(sensor, value);
  }

  #finding(sensor: Sensor, value: number | string | undefined): Finding {
    const { record } = sensor;
    const name = deviceText(sensor.name, 60);
    const isNumber = typeof value !== 'string';
    const base = isNumber ? baseUnit(unitsText(record.units)) : undefined;
    const { unit, scale } = base ?? { unit: undefined, scale: 1 };
    const metricId = sensorMetricName('bmc', name === '' ? `sensor ${record.recordId}` : name, unit);
    return {
      metricId,
      url: this.#written('ipmisensor', this.#keyOf(sensor)),
      unit,
      description: `Sensor ${JSON.stringify(name)} of the BMC, record ${record.recordId}`,
      labels: name === '' ? {} : { sensor: name },
      periodMs: PERIOD_MS,
      ...(scale !== 1 && { scaleFactor: scale }),
      ...(value !== undefined && { value: typeof value === 'number' ? value * scale : value }),
      rank: rankOfUnit(unit),
    };
  }

  /** The name where it means this very sensor and can be written, else the record id. */
  #keyOf(sensor: Sensor): string {
    const { name, record } = sensor;
    const isPlain = /^[^\p{Cc}\p{Cf}\p{Cs}\u2028\u2029"'\\]+$/u.test(name);
    if (!isPlain || this.#bmc.catalogue.find(name) !== sensor) return String(record.recordId);
    return name.replace(/[%?$#]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
  }

  #written(scheme: IpmiUrl['scheme'], target: string): string {
    const { written = { before: `${this.#url.hostPort}/`, behind: '' } } = this
      .#url as Partial<IpmiDeviceUrl>;
    return `${scheme}://${written.before}${target}${written.behind}`;
  }
}
