/**
 * What becomes of the frames for one entry of the configuration: one quantity of every port.
 *
 * Each port is in one of two states, looked at with each frame:
 *   mean    values are gathered; when the window (a second) is over, their mean is stored with the window's beginning
 *   frames  each value is stored with its own time
 *
 *   mean   -> frames   the metric is promoted: from this very frame on. What was gathered before is stored as the mean
 *   frames -> mean     the promotion is over, and so is the window: until then frames go on, so that no value is lost
 *                      and none is in a mean and in a row of its own
 *
 * The mean is that of the values while frames come regularly. When some are missing it is the mean over time: a value
 * stands for the time halfway to its neighbours, but not beyond the window when a neighbour is missing. Otherwise the
 * busy half of a second would count for more than the half that was lost.
 */
import type { Channel, StreamRequest, StreamSink } from '../driver.ts';
import type { Layout } from './lines.ts';
import type { Quantity, WattmeterUrl } from './url.ts';

/** Neighbours that are farther apart than this share of the usual distance have lost a frame between them. */
export const GAP_SHARE = 1.5;

/** A neighbour that was due within this share of the usual distance is of another window. */
const EDGE_SHARE = 1.25;

/** Where a wattmeter's clock is farther off, its stamps say nothing about when something was measured. */
const TRUSTED_CLOCK_US = 5_000_000;

export interface RecorderOptions {
  readonly request: StreamRequest<WattmeterUrl>;
  readonly sink: StreamSink;
  /** The node that a port powers, by the port's name. */
  readonly nodeOf: (device: string) => string | undefined;
  /** Every name in the mapping that could be a port of this wattmeter. */
  readonly mappedDevices: () => Iterable<string>;
}

interface Port {
  readonly deviceId: string;
  readonly alias: string | undefined;
  readonly channel: Channel;
}

export class Recorder {
  readonly #options: RecorderOptions;
  readonly #windowUs: number;
  readonly #scale: number;
  readonly #ports: (Port | undefined)[] = [];
  /** Column of each port in the frames; -1 for none. */
  #columns: readonly number[] = [];
  #beginUs = Number.NaN;
  #endUs = Number.NaN;
  /** When the first value of the window came, on this machine's clock; undefined while there is none. */
  #gatheringSinceUs: number | undefined;
  /** Usual distance of frames; infinite while it is not known. */
  #usualUs = Number.POSITIVE_INFINITY;

  // By port: the last value with its time (NaN: none), and what was gathered in this window.
  #lastUs = new Float64Array(0);
  #lastValue = new Float64Array(0);
  #sum = new Float64Array(0);
  #count = new Uint32Array(0);
  /** Value times microseconds, and microseconds. */
  #area = new Float64Array(0);
  #weight = new Float64Array(0);
  /** Bits: FRAMES, GAP, FIRST. */
  #state = new Uint8Array(0);

  constructor(options: RecorderOptions) {
    const { updateEveryMs, scaleFactor } = options.request;
    this.#options = options;
    this.#windowUs = updateEveryMs * 1000;
    this.#scale = scaleFactor ?? 1;
    this.remap();
  }

  /** The frames that follow have these columns. Ports that are gone give what was gathered. */
  use(layout: Layout): void {
    const columns = layout[this.#options.request.url.quantity];
    for (let port = columns.length; port < this.#ports.length; port++) this.#drop(port);
    this.#columns = columns;
    this.#grow(columns.length);
    this.remap();
  }

  /** The mapping changed: ports whose node is another one now get another channel. */
  remap(): void {
    const { nodeOf, mappedDevices, request } = this.#options;
    for (const [number, port] of this.#ports.entries()) {
      if (port && nodeOf(port.deviceId) !== port.alias) this.#drop(number);
    }
    // Ports of nodes are in the catalogue before their first frame comes, so that they can be enabled.
    for (const device of mappedDevices()) {
      const number = portNumber(device, request.deviceId, request.url.quantity);
      if (number !== undefined && !this.#ports[number]) this.#open(number);
    }
  }

  /**
   * Takes a frame.
   * @param late its time is before that of an earlier frame
   * @param usualUs the usual distance of frames, infinite while it is not known
   */
  frame(timestampUs: number, values: Float64Array, late: boolean, arrivedUs: number, usualUs: number): void {
    this.#usualUs = usualUs;
    if (!(timestampUs < this.#endUs)) this.#turn(timestampUs);
    const tooLate = timestampUs < this.#beginUs;
    const columns = this.#columns;
    for (let port = 0; port < columns.length; port++) {
      const column = columns[port] as number;
      const raw = column < 0 ? Number.NaN : (values[column] as number);
      if (Number.isNaN(raw)) continue;
      const value = raw * this.#scale;
      const { channel } = this.#ports[port] ?? this.#open(port);
      const state = this.#state[port] as number;
      if (channel.promoted || (state & FRAMES) !== 0) {
        if ((state & FRAMES) === 0) {
          this.#store(port);
          this.#state[port] = FRAMES;
        }
        channel.add(timestampUs, value);
      } else if (tooLate) {
        continue;
      } else {
        this.#gather(port, timestampUs, value, late, arrivedUs);
      }
      if (late) continue;
      this.#lastUs[port] = timestampUs;
      this.#lastValue[port] = value;
    }
  }

  /** What comes next has nothing to do with what came before: another connection, or a step of the clock. */
  interrupt(): void {
    for (let port = 0; port < this.#count.length; port++) {
      this.#addRight(port, Math.min(this.#usualUs / 2, this.#windowUs));
      this.#store(port);
      this.#state[port] = 0;
    }
    this.#lastUs.fill(Number.NaN);
    this.#endUs = Number.NaN;
    this.#beginUs = Number.NaN;
    this.#gatheringSinceUs = undefined;
  }

  /** The instant from which on values are held back, on this machine's clock. */
  get heldSinceUs(): number | undefined {
    const since = this.#gatheringSinceUs;
    if (since === undefined) return undefined;
    return Math.abs(since - this.#beginUs) < TRUSTED_CLOCK_US + this.#windowUs
      ? Math.min(since, this.#beginUs)
      : since;
  }

  /** Gives what was gathered, and closes every channel. */
  close(): void {
    this.interrupt();
    for (let port = 0; port < this.#ports.length; port++) this.#drop(port);
  }

  #gather(port: number, timestampUs: number, value: number, late: boolean, arrivedUs: number): void {
    this.#gatheringSinceUs ??= arrivedUs;
    const gapUs = timestampUs - (this.#lastUs[port] as number);
    if (late) {
      // Between two values that were counted already: it adds no time.
    } else if (Number.isNaN(gapUs)) {
      this.#state[port] = FIRST;
    } else {
      const lastValue = this.#lastValue[port] as number;
      if ((this.#count[port] as number) === 0) {
        this.#addTime(port, value, this.#share(port, gapUs, timestampUs - this.#beginUs));
      } else {
        if (gapUs > GAP_SHARE * this.#usualUs) this.#state[port] = (this.#state[port] as number) | GAP;
        this.#addTime(port, (lastValue + value) / 2, gapUs);
        if (((this.#state[port] as number) & FIRST) !== 0) {
          // The first frame of all: before it there was as much time as behind it.
          this.#addTime(port, lastValue, Math.min(gapUs, this.#usualUs) / 2);
          this.#state[port] = (this.#state[port] as number) & ~FIRST;
        }
      }
    }
    this.#sum[port] = (this.#sum[port] as number) + value;
    this.#count[port] = (this.#count[port] as number) + 1;
  }

  /**
   * The time that a value stands for on one side: half the way to its neighbour there. When frames are missing
   * between them and one of those belongs to this window, its time is shared too, but not beyond the window.
   */
  #share(port: number, gapUs: number, roomUs: number): number {
    const usualUs = this.#usualUs;
    if (gapUs <= GAP_SHARE * usualUs) return gapUs / 2;
    if (roomUs <= EDGE_SHARE * usualUs) return usualUs / 2;
    this.#state[port] = (this.#state[port] as number) | GAP;
    return Math.min(gapUs / 2, roomUs);
  }

  #addTime(port: number, value: number, timeUs: number): void {
    this.#area[port] = (this.#area[port] as number) + value * timeUs;
    this.#weight[port] = (this.#weight[port] as number) + timeUs;
  }

  #addRight(port: number, timeUs: number): void {
    if (this.#count[port] !== 0) this.#addTime(port, this.#lastValue[port] as number, timeUs);
  }

  /** Ends the window, since a frame of a later one came, and begins that one. */
  #turn(timestampUs: number): void {
    for (let port = 0; port < this.#count.length; port++) {
      if (this.#count[port] !== 0) {
        const lastUs = this.#lastUs[port] as number;
        this.#addRight(port, this.#share(port, timestampUs - lastUs, this.#endUs - lastUs));
        this.#store(port);
      }
      this.#state[port] = this.#ports[port]?.channel.promoted ? FRAMES : 0;
    }
    this.#gatheringSinceUs = undefined;
    this.#beginUs = timestampUs - (timestampUs % this.#windowUs);
    this.#endUs = this.#beginUs + this.#windowUs;
  }

  /** Stores the mean of what a port has in this window, if there is anything, and forgets it. */
  #store(port: number): void {
    const count = this.#count[port] as number;
    if (count === 0) return;
    const weight = this.#weight[port] as number;
    const hasGap = ((this.#state[port] as number) & GAP) !== 0;
    const mean =
      hasGap && weight > 0 ? (this.#area[port] as number) / weight : (this.#sum[port] as number) / count;
    if (!this.#options.request.optional) this.#ports[port]?.channel.add(this.#beginUs, mean);
    this.#sum[port] = 0;
    this.#count[port] = 0;
    this.#area[port] = 0;
    this.#weight[port] = 0;
  }

  #open(number: number): Port {
    const { request, sink, nodeOf } = this.#options;
    const { deviceId, metricId, labels, url } = request;
    const isPhase = url.quantity === 'voltage';
    const device = isPhase ? deviceId : `${deviceId}-port${number}`;
    const alias = isPhase ? undefined : nodeOf(device);
    const series = {
      deviceId: device,
      metricId,
      labels: {
        ...labels,
        ...(alias !== undefined && { _device_alias: alias }),
        ...(isPhase && { phase: String(number + 1) }),
      },
    };
    const port = { deviceId: device, alias, channel: sink.channel(request, series) };
    this.#grow(number + 1);
    while (this.#ports.length < number) this.#ports.push(undefined);
    this.#ports[number] = port;
    return port;
  }

  /** Gives what a port has, and closes its channel. */
  #drop(number: number): void {
    const port = this.#ports[number];
    if (!port) return;
    this.#store(number);
    this.#state[number] = 0;
    port.channel.close();
    this.#ports[number] = undefined;
  }

  #grow(ports: number): void {
    const before = this.#count.length;
    if (ports <= before) return;
    const grown = (old: Float64Array, filling: number) => {
      const array = new Float64Array(ports).fill(filling);
      array.set(old);
      return array;
    };
    this.#lastUs = grown(this.#lastUs, Number.NaN);
    this.#lastValue = grown(this.#lastValue, 0);
    this.#sum = grown(this.#sum, 0);
    this.#area = grown(this.#area, 0);
    this.#weight = grown(this.#weight, 0);
    const count = new Uint32Array(ports);
    count.set(this.#count);
    this.#count = count;
    const state = new Uint8Array(ports);
    state.set(this.#state);
    this.#state = state;
  }
}

/** The port is in the state `frames`. */
const FRAMES = 1;
/** A frame is missing in or beside what was gathered. */
const GAP = 2;
/** What was gathered begins with the first value of all. */
const FIRST = 4;

/** No wattmeter has more ports; a mapping may say anything. */
const MAX_PORT = 1_023;

/** `wattmetre1-port33` is 33 for `wattmetre1`; phases of the mains power no node. */
function portNumber(device: string, wattmeterId: string, quantity: Quantity): number | undefined {
  if (quantity === 'voltage' || !device.startsWith(`${wattmeterId}-port`)) return undefined;
  const digits = device.slice(wattmeterId.length + '-port'.length);
  return /^(0|[1-9]\d{0,3})$/.test(digits) && Number(digits) <= MAX_PORT ? Number(digits) : undefined;
}
