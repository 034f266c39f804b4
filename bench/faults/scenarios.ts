/** What goes wrong between a collector and what it stores into, done for real, with the load of load.ts on it. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Load, LoadOptions } from '../../test/support/faults/load.ts';
import type { OwnServer } from '../../test/support/faults/ownServer.ts';
import { mountSmallDisk, type SmallDisk } from '../../test/support/faults/smallDisk.ts';
import type { HalfOpenProxy, Verdict } from '../../test/support/halfOpenProxy.ts';
import { whenItIsThere } from './whenItIsThere.ts';

/** What a scenario has at hand. */
export interface Stage {
  readonly load: Load;
  /** Of the database, without the proxy. */
  readonly url: string;
  readonly proxy: HalfOpenProxy;
  /** Undefined in a server that is not ours. */
  readonly server: OwnServer | undefined;
  /** Where the spool is, if the scenario has a disk for it. */
  readonly spoolDisk: SmallDisk | undefined;
  /** How long the fault is to last. */
  readonly seconds: number;
}

export interface Scenario {
  readonly title: string;
  /** Stops the database server, or fills its disk. */
  readonly needsOwnServer?: boolean;
  /** Free bytes of the disk of the server. */
  readonly serverSpareBytes?: number;
  /** Size of the disk of the spool. */
  readonly spoolDiskBytes?: number;
  readonly options?: Pick<LoadOptions, 'frames' | 'settings'>;
  /** Before the fault, in the database. */
  readonly prepare?: string;
  /** Does the fault and mends it. */
  readonly harm: (stage: Stage) => Promise<void>;
  /** What is lost is told; or only what the last second before each kill brought. */
  readonly mayLose?: 'told' | 'last second';
  readonly mayRefuse?: boolean;
}

const KILLS = 20;

export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  stopped: {
    title: 'the server is stopped, and started again',
    needsOwnServer: true,
    async harm({ server, seconds }) {
      await server?.stop();
      await pause(seconds);
      await server?.start();
    },
  },
  refused: { title: 'connections are closed, and new ones refused', harm: refuse },
  hanging: {
    title: 'packets are dropped, of old connections and of new ones',
    async harm({ proxy, seconds }) {
      proxy.hang();
      await pause(seconds);
      await proxy.heal();
    },
  },
  full: {
    title: 'the disk of the server is full',
    needsOwnServer: true,
    serverSpareBytes: 4e9,
    async harm({ server, seconds }) {
      server?.disk?.fill(0);
      await pause(seconds);
      server?.disk?.free();
      // It has ended if it could not write its log of transactions.
      await server?.start();
    },
  },
  backends: {
    title: 'kill -9 of the process that is in COPY, every 3 s',
    needsOwnServer: true,
    harm: (stage) =>
      repeat(stage, 3, async ({ url }) => {
        process.kill(await backendInCopy(url), 'SIGKILL');
        // Its clients hear of it a moment later.
        await sleep(500);
      }),
  },
  crash: {
    title: 'the server crashes as a whole every 5 s',
    needsOwnServer: true,
    harm: (stage) =>
      repeat(stage, 5, async ({ server }) => {
        await server?.crash();
        await server?.start();
      }),
  },
  cut: {
    title: 'connections break before COMMIT, or before its answer, two times in three',
    async harm({ proxy, seconds }) {
      const verdicts: readonly Verdict[] = ['before', 'behind', 'pass'];
      let commits = 0;
      proxy.judge = (data) => (data.includes('COMMIT') ? (verdicts[commits++ % 3] as Verdict) : 'pass');
      await pause(seconds);
      proxy.judge = () => 'pass';
    },
  },
  killed: {
    title: `kill -9 of the collector, ${KILLS} times, in an outage too`,
    options: { frames: 'period' },
    async harm({ load, proxy }) {
      for (let kill = 0; kill < KILLS; kill++) {
        if (kill === 8) proxy.refuse();
        await sleep(kill === 9 || kill === 12 ? 5_000 : 200 + Math.random() * 2_000);
        await load.collector.kill();
        if (kill === 14) await proxy.heal();
        await load.collector.start();
      }
      await pause(2);
    },
    mayLose: 'last second',
  },
  ownfull: {
    title: 'the disk of the spool is full, and the database away for half of the time',
    spoolDiskBytes: 200e6,
    async harm(stage) {
      // Memory alone holds half a minute of this load.
      const seconds = Math.min(stage.seconds, 40);
      stage.spoolDisk?.fill(0);
      await pause(seconds / 4);
      await refuse({ ...stage, seconds: seconds / 2 });
      await pause(seconds / 4);
      stage.spoolDisk?.free();
    },
  },
  readonly: {
    title: 'the disk of the spool is read-only, and the database away for half of the time',
    spoolDiskBytes: 200e6,
    async harm(stage) {
      const seconds = Math.min(stage.seconds, 40);
      // The kernel makes a file system read-only when no file is open for writing: a full disk closes them.
      stage.spoolDisk?.fill(0);
      await stage.spoolDisk?.makeReadOnly();
      await pause(seconds / 4);
      await refuse({ ...stage, seconds: seconds / 2 });
      await pause(seconds / 4);
      stage.spoolDisk?.makeWritable();
      stage.spoolDisk?.free();
    },
  },
  bound: {
    title: 'an outage longer than a spool of 40 MB holds',
    options: { settings: 'spool: {max_bytes: 40MB}\n' },
    harm: refuse,
    mayLose: 'told',
  },
  poison: {
    title: 'the database refuses one value of each reading of a PDU',
    prepare: `ALTER TABLE kw.metrics ADD CHECK (NOT (device_id = 'pdu-7' AND labels ->> 'outlet' = '7'))`,
    harm: ({ seconds }) => pause(seconds),
    mayRefuse: true,
  },
};

const pause = (seconds: number) => sleep(seconds * 1000);

async function refuse({ proxy, seconds }: Stage): Promise<void> {
  proxy.refuse();
  await pause(seconds);
  await proxy.heal();
}

async function repeat(stage: Stage, everyS: number, harm: (stage: Stage) => Promise<void>): Promise<void> {
  for (let second = 0; second < stage.seconds; second += everyS) {
    await pause(everyS);
    await harm(stage);
  }
}

/** The process of the server that copies the collector's rows at this moment. */
async function backendInCopy(url: string): Promise<number> {
  const client = await whenItIsThere(url);
  try {
    for (;;) {
      const { rows } = await client.query(
        "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'kw-collect %' AND query LIKE 'COPY%' AND state = 'active'",
      );
      if (rows[0]) return rows[0].pid;
    }
  } finally {
    await client.end().catch(() => {});
  }
}

/** More lines of kw.yaml for a spool on a disk of its own. */
export function spoolDisk(folder: string, bytes: number): { disk: SmallDisk; settings: string } {
  const place = join(folder, 'spool');
  return { disk: mountSmallDisk(place, bytes), settings: `spool: {folder: ${place}}\n` };
}
