/** What all polls of one agent share: the client, the indexes of templates, and what the agent can bear. */
import type { MetricRequest, Session, SessionContext } from '../driver.ts';
import type { AgentState } from './agentState.ts';
import { SnmpClient } from './client.ts';
import { SnmpPoll } from './poll.ts';
import { Templates } from './templates.ts';
import { sharedTransport, type UdpTransport } from './transport.ts';
import type { SnmpUrl } from './url.ts';

/** sysUpTime counts hundredths of a second. */
const TICKS_PER_MS = 0.1;
/** An agent's clock may be this far behind ours between two polls without having restarted. */
const UPTIME_SLACK_MS = 5_000;

export class SnmpSession implements Session<SnmpUrl>, AgentState {
  readonly client: SnmpClient;
  readonly templates: Templates;
  readonly limits: { maxOids: number };
  /** When the agent started by its own account, on performance.now(). */
  #agentStartMs: number | undefined;
  #upTimeTicks = 0;
  #engineRestarts = 0;

  constructor(url: SnmpUrl, context: SessionContext, transport: UdpTransport = sharedTransport) {
    this.client = new SnmpClient(url, transport, {
      nowUs: () => context.nowUs(),
      ...(context.trace && { trace: (step) => context.trace?.(step) }),
    });
    this.templates = new Templates(this.client);
    this.limits = { maxOids: url.maxOids };
  }

  plan(metrics: readonly MetricRequest<SnmpUrl>[]): SnmpPoll {
    return new SnmpPoll(this, metrics);
  }

  hasRestarted(upTimeTicks: number | undefined): boolean {
    const engineRestarts = this.client.engine?.restarts ?? 0;
    let restarted = engineRestarts > this.#engineRestarts;
    this.#engineRestarts = engineRestarts;
    if (upTimeTicks !== undefined) {
      const startMs = performance.now() - upTimeTicks / TICKS_PER_MS;
      if (this.#agentStartMs !== undefined && startMs > this.#agentStartMs + UPTIME_SLACK_MS)
        restarted = true;
      if (upTimeTicks < this.#upTimeTicks) restarted = true;
      this.#agentStartMs = startMs;
      this.#upTimeTicks = upTimeTicks;
    }
    return restarted;
  }

  async close(): Promise<void> {
    this.client.close();
  }
}
