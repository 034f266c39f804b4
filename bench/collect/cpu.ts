/** User and system time of processes, from /proc, in microseconds. */
import { readdirSync, readFileSync } from 'node:fs';

/** A tick of /proc/PID/stat is 10 ms on every Linux that Node runs on. */
const TICK_US = 10_000;

interface Stat {
  readonly parent: number;
  readonly ownUs: number;
  /** Of children that have ended. */
  readonly childrenUs: number;
}

function statOf(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name of the program, in brackets, may hold blanks.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const ticks = (index: number) => Number(fields[index]) * TICK_US;
    return { parent: Number(fields[1]), ownUs: ticks(11) + ticks(12), childrenUs: ticks(13) + ticks(14) };
  } catch {
    return undefined;
  }
}

/** Of all programs that this process has run to their ends. */
export function endedChildrenUs(): number {
  return statOf(process.pid)?.childrenUs ?? 0;
}

/** The server with every process of it, those that ended meanwhile included. */
function serverUs(postmaster: number): number {
  const server = statOf(postmaster);
  if (!server) throw new Error('the database server is gone');
  let sumUs = server.ownUs + server.childrenUs;
  for (const name of readdirSync('/proc')) {
    const stat = /^\d+$/.test(name) ? statOf(Number(name)) : undefined;
    if (stat?.parent === postmaster) sumUs += stat.ownUs;
  }
  return sumUs;
}

export class CpuMeter {
  readonly #pids: { collector: number; postmaster: number };
  readonly #before: { collectorUs: number; databaseUs: number };

  constructor(pids: { collector: number; postmaster: number }) {
    this.#pids = pids;
    this.#before = this.#now();
  }

  stop(): { collectorUs: number; databaseUs: number } {
    const now = this.#now();
    return {
      collectorUs: now.collectorUs - this.#before.collectorUs,
      databaseUs: now.databaseUs - this.#before.databaseUs,
    };
  }

  #now() {
    const collector = statOf(this.#pids.collector);
    if (!collector) throw new Error('the collector is gone');
    return { collectorUs: collector.ownUs, databaseUs: serverUs(this.#pids.postmaster) };
  }
}
