/** The part of a session that its polls see. */
import type { SnmpClient } from './client.ts';
import type { Templates } from './templates.ts';

export interface AgentState {
  readonly client: SnmpClient;
  readonly templates: Templates;
  /** OIDs a PDU: what the URL allows, and less once the agent answered tooBig. */
  readonly limits: { maxOids: number };
  /** Whether the agent restarted since the last call. `upTimeTicks`: its sysUpTime now, if it told. */
  hasRestarted(upTimeTicks: number | undefined): boolean;
}
