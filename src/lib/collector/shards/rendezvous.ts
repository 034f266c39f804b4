/**
 * Rendezvous hashing (Thaler and Ravishankar, 1998): every member draws a number for a key, and the highest has it.
 * When a member comes or goes nothing moves but what it gets or leaves.
 */
import { hash32 } from '../phase.ts';
import type { ShardMember } from './model.ts';

/** The member that has this key; of members with a list of their own one of these. Undefined when there is none. */
export function highest(key: string, members: readonly ShardMember[]): ShardMember | undefined {
  let best: ShardMember | undefined;
  let bestScore = -1;
  for (const member of members) {
    const score = scoreOf(key, member.collector) + (member.fixed ? 2 ** 52 : 0);
    // Equal numbers are next to impossible; all must decide alike even then.
    if (score < bestScore || (score === bestScore && best && member.collector < best.collector)) continue;
    best = member;
    bestScore = score;
  }
  return best;
}

/** 51 bits. */
function scoreOf(key: string, collector: string): number {
  return hash32(`${collector}\n${key}`) * 2 ** 19 + (hash32(`${key}\n${collector}`) >>> 13);
}
