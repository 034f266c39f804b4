/** A stream without a device: a test says what comes. */
import type { StreamSurroundings } from '../../src/lib/collector/streamTarget.ts';
import type {
  Channel,
  DeviceUrl,
  Stream,
  StreamDriver,
  StreamRequest,
  StreamSink,
} from '../../src/lib/devices/driver.ts';

/** For fleets of polled devices. */
export const noStreams: StreamSurroundings = {
  nowUs: () => 0,
  openChannel: () => {
    throw new Error('no stream is expected');
  },
  onChannelClosed: () => {},
  onSamples: () => {},
  onReadings: () => {},
  onState: () => {},
  onRemark: () => {},
};

/** One stream of a FakeStreamDriver; `say` gives a value to each metric that is configured. */
export class FakeStream implements Stream {
  readonly host: string;
  readonly sink: StreamSink;
  readonly channels = new Map<StreamRequest, Channel>();
  heldUs: number | undefined;
  closed = false;
  /** What closing has to wait for. */
  closing = Promise.resolve();

  constructor(host: string, sink: StreamSink) {
    this.host = host;
    this.sink = sink;
  }

  configure(requests: readonly StreamRequest[]): void {
    for (const [request, channel] of this.channels) {
      if (requests.includes(request)) continue;
      this.channels.delete(request);
      channel.close();
    }
    for (const request of requests) {
      if (this.channels.has(request)) continue;
      const { deviceId, metricId, labels } = request;
      this.channels.set(request, this.sink.channel(request, { deviceId, metricId, labels }));
    }
  }

  /** Gives a value to each metric; what is optional gets it only while promoted. */
  say(timestampUs: number, value: number): void {
    for (const [request, channel] of this.channels) {
      if (channel.promoted || !request.optional) channel.add(timestampUs, value);
    }
    this.sink.readings(1);
  }

  heldSinceUs(): number | undefined {
    return this.heldUs;
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.closing;
    this.heldUs = undefined;
  }
}

export class FakeStreamDriver implements StreamDriver {
  readonly schemes = ['fakestream'];
  readonly urlForm = 'fakestream://host';
  readonly streams: FakeStream[] = [];

  parseUrl(text: string): DeviceUrl {
    const host = text.replace(/^.*:\/\//, '');
    return { scheme: 'fakestream', endpointKey: host, safeUrl: text, hostPort: host };
  }

  openStream(_deviceId: string, url: DeviceUrl, _context: unknown, sink: StreamSink): Stream {
    const stream = new FakeStream(url.hostPort, sink);
    this.streams.push(stream);
    return stream;
  }
}
