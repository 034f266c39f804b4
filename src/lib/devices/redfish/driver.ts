/**
 * The Redfish driver: values of BMCs by HTTPS, one BMC one connection and one session.
 * A poll is `up` when at least one resource could be read.
 */
import type { Driver, MetricRequest, Poll, Session, SessionContext } from '../driver.ts';
import { RedfishClient } from './client.ts';
import { discoverRedfish } from './discover.ts';
import { RedfishPoll } from './poll.ts';
import { SourceFinder } from './sourceFinder.ts';
import { parseRedfishDeviceUrl, parseRedfishUrl, type RedfishUrl, URL_FORM } from './url.ts';

class RedfishSession implements Session<RedfishUrl> {
  readonly #context: SessionContext;
  readonly #client: RedfishClient;
  readonly #finder: SourceFinder;

  constructor(url: RedfishUrl, context: SessionContext) {
    this.#context = context;
    this.#client = new RedfishClient(url, context);
    this.#finder = new SourceFinder(this.#client);
  }

  plan(metrics: readonly MetricRequest<RedfishUrl>[]): Poll {
    return new RedfishPoll(metrics, this.#client, this.#finder, this.#context);
  }

  close(): Promise<void> {
    return this.#client.close();
  }
}

export const redfishDriver: Driver<RedfishUrl> = {
  schemes: ['redfish', 'redfish+http', 'https'],
  urlForm: URL_FORM,
  parseUrl: parseRedfishUrl,
  parseDeviceUrl: parseRedfishDeviceUrl,
  discover: (_deviceId, url, context, options) => discoverRedfish(url, context, options),
  open: (_deviceId, url, context) => new RedfishSession(url, context),
};
