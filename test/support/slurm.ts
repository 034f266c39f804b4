/**
 * A real Slurm (Debian's munge, slurmctld, slurmd) for tests: one controller and two nodes of 32 cores each on this machine,
 * everything in one temporary folder, nothing under /etc. As root jobs are submitted by `nobody`; an ordinary user runs
 * it too, and submits himself.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { endProcess } from './endProcess.ts';
import { freePort } from './freePort.ts';
import { findProgram } from './skip.ts';
import { temporaryFolder } from './temporaryFolder.ts';
import { waitUntil } from './waitUntil.ts';

/** Debian's packages munge, slurmctld, slurmd and slurm-client. */
export const hasSlurm = ['munged', 'slurmctld', 'slurmd', 'squeue'].every((name) => findProgram(name));

const AS_ROOT = process.getuid?.() === 0;
const ORDINARY_ID = 65_534;
/** Who submits jobs. */
export const SLURM_USER = AS_ROOT ? 'nobody' : userInfo().username;

export const HOOKS = ['PrologSlurmctld', 'EpilogSlurmctld', 'Prolog', 'Epilog'] as const;
export type Hook = (typeof HOOKS)[number];

export interface Slurm {
  /** For what kw runs of Slurm's programs. */
  readonly env: { readonly SLURM_CONF: string };
  readonly nodes: readonly string[];
  /** Submits a job that sleeps, as an ordinary user; its number. */
  submit(options?: {
    seconds?: number;
    comment?: string;
    args?: readonly string[];
    script?: string;
  }): Promise<number>;
  /** Runs a program of Slurm as its administrator; its standard output. */
  run(program: string, ...args: readonly string[]): Promise<string>;
  /** What Slurm says of a job: its state, nodes, and times in seconds of the epoch. */
  job(id: number): Promise<{ state: string; nodes: string; startS: number; endS: number }>;
  /** How Slurm is, for a test that failed: its nodes, its jobs, and the ends of its logs. */
  report(): Promise<string>;
  /** Waits until the job is in one of these states. */
  waitFor(id: number, ...states: readonly string[]): Promise<void>;
  /** The script that Slurm runs there; undefined is none. */
  setHook(hook: Hook, script: string | undefined): void;
  stopController(): Promise<void>;
  startController(): Promise<void>;
  stop(): Promise<void>;
}

export async function startSlurm(): Promise<Slurm> {
  const { folder, remove } = temporaryFolder();
  for (const name of ['run', 'state', 'hooks', 'log']) mkdirSync(join(folder, name), { mode: 0o755 });
  const ports = [await freePort(), await freePort(), await freePort()];
  const configuration = join(folder, 'slurm.conf');
  // How long programs and nodes wait for an answer. A node that starts many jobs at once on a slow machine takes one for
  // failed after twice that time, and is drained; but kw is to say soon that slurmctld is away.
  writeFileSync(configuration, slurmConf(folder, ports, 60));
  const client = join(folder, 'client.conf');
  writeFileSync(client, slurmConf(folder, ports, 4));
  writeFileSync(join(folder, 'cgroup.conf'), 'CgroupAutomount=no\n');
  writeFileSync(join(folder, 'munge.key'), randomBytes(1024), { mode: 0o600 });
  const env = { SLURM_CONF: configuration };
  const children: ChildProcess[] = [];
  const launch = (name: string, program: string, args: readonly string[]) => {
    const child = start(join(folder, 'log', name), program, args, env);
    children.push(child);
    return child;
  };
  const setHook = (hook: Hook, script: string | undefined) => {
    const path = join(folder, 'hooks', hook);
    writeFileSync(path, `#!/bin/bash\n${script ?? 'exit 0'}\n`);
    chmodSync(path, 0o755);
  };
  for (const hook of HOOKS) setHook(hook, undefined);

  const run = async (program: string, ...args: readonly string[]) => {
    const { stdout } = await promisify(execFile)(program, args, {
      env: { ...process.env, ...env, SLURM_TIME_FORMAT: '%s' },
      timeout: 20_000,
    });
    return stdout;
  };
  const job = async (id: number) => {
    const [state = '', nodes = '', start = '', end = ''] = (
      await run('squeue', '--noheader', '--all', '--states=all', `--jobs=${id}`, '--format=%T|%N|%S|%e')
    )
      .trim()
      .split('|');
    return { state, nodes, startS: Number(start), endS: Number(end) };
  };

  const munge = join(folder, 'run', 'munge.socket');
  launch('munged', 'munged', [
    '--force',
    '--foreground',
    `--key-file=${join(folder, 'munge.key')}`,
    `--socket=${munge}`,
    `--pid-file=${join(folder, 'run', 'munged.pid')}`,
    `--seed-file=${join(folder, 'run', 'munge.seed')}`,
    `--log-file=${join(folder, 'log', 'munged.log')}`,
  ]);
  await waitUntil(() =>
    run('munge', '--no-input', `--socket=${munge}`).then(
      () => true,
      () => false,
    ),
  );
  const startController = async () => {
    controller = launch('slurmctld', 'slurmctld', ['-D', '-f', configuration]);
    await waitUntil(() =>
      run('scontrol', 'ping').then(
        (said) => / is UP/.test(said),
        () => false,
      ),
    );
  };
  let controller: ChildProcess | undefined;
  await startController();
  const nodes = ['n1', 'n2'];
  for (const node of nodes) launch(node, 'slurmd', ['-D', '-N', node, '-f', configuration]);
  await waitUntil(async () => (await run('sinfo', '--noheader', '--format=%T')).trim() === 'idle', 20_000);

  return {
    env: { SLURM_CONF: client },
    nodes,
    run,
    job,
    setHook,
    startController,
    async stopController() {
      if (controller) await endProcess(controller, 10_000);
    },
    async submit({ seconds = 60, comment, args = [], script } = {}) {
      const ids = AS_ROOT
        ? ['setpriv', `--reuid=${ORDINARY_ID}`, `--regid=${ORDINARY_ID}`, '--clear-groups']
        : [];
      const command = [
        ...ids,
        'sbatch',
        '--parsable',
        '--output=/dev/null',
        ...(comment === undefined ? [] : [`--comment=${comment}`]),
        ...args,
        ...(script === undefined ? [`--wrap=exec sleep ${seconds}`] : [script]),
      ];
      const { stdout } = await promisify(execFile)(command[0] as string, command.slice(1), {
        env: { PATH: process.env.PATH, ...env },
        cwd: '/',
        timeout: 20_000,
      });
      return Number.parseInt(stdout, 10);
    },
    async report() {
      const logs = ['slurmctld', ...nodes].map((name) => {
        const lines = readFileSync(join(folder, 'log', name), 'utf8')
          .trimEnd()
          .split('\n');
        return [`--- log of ${name}`, ...lines.slice(-15)].join('\n');
      });
      return [await run('sinfo', '--list-reasons', '--long'), await run('squeue', '--long'), ...logs].join(
        '\n',
      );
    },
    async waitFor(id, ...states) {
      await waitUntil(async () => states.includes((await job(id)).state), 20_000);
    },
    async stop() {
      await run('scancel', `--user=${SLURM_USER}`).catch(() => {});
      await waitUntil(async () => (await run('squeue', '--noheader')) === '', 5_000, 100).catch(() => {});
      for (const child of children.reverse()) await endProcess(child);
      remove();
    },
  };
}

function start(
  log: string,
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): ChildProcess {
  const file = openSync(log, 'a');
  const child = spawn(findProgram(program) ?? program, args, {
    stdio: ['ignore', file, file],
    cwd: '/',
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...env },
  });
  closeSync(file);
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  child.once('exit', () => process.removeListener('exit', kill));
  child.once('error', (error) => {
    throw new Error(`${program}: ${error.message}; ${readFileSync(log, 'utf8')}`);
  });
  return child;
}

function slurmConf(
  folder: string,
  [controllerPort, ...nodePorts]: readonly number[],
  messageTimeoutS: number,
): string {
  const user = userInfo().username;
  const file = (...path: string[]) => join(folder, ...path);
  const settings = {
    ClusterName: 'kwtest',
    SlurmctldHost: `${hostname()}(127.0.0.1)`,
    SlurmctldPort: controllerPort,
    SlurmUser: user,
    SlurmdUser: user,
    AuthType: 'auth/munge',
    AuthInfo: `socket=${file('run', 'munge.socket')}`,
    CryptoType: 'crypto/munge',
    StateSaveLocation: file('state'),
    SlurmdSpoolDir: file('spool-%n'),
    SlurmctldPidFile: file('run', 'slurmctld.pid'),
    SlurmdPidFile: file('run', 'slurmd-%n.pid'),
    SlurmctldLogFile: file('log', 'slurmctld.log'),
    SlurmdLogFile: file('log', 'slurmd-%n.log'),
    // These work without cgroups.
    ProctrackType: 'proctrack/linuxproc',
    TaskPlugin: 'task/none',
    JobAcctGatherType: 'jobacct_gather/none',
    AccountingStorageType: 'accounting_storage/none',
    SelectType: 'select/cons_tres',
    SelectTypeParameters: 'CR_Core',
    SchedulerType: 'sched/backfill',
    // Jobs begin when they can, not every few seconds.
    SchedulerParameters: 'batch_sched_delay=0,sched_min_interval=1000,bf_interval=1,permit_job_expansion',
    MpiDefault: 'none',
    ReturnToService: 2,
    SlurmctldTimeout: 30,
    SlurmdTimeout: 30,
    KillWait: 2,
    MessageTimeout: messageTimeoutS,
    PrologFlags: 'Alloc',
    // Two slurmd of made-up size on one machine.
    SlurmdParameters: 'config_overrides',
    ...Object.fromEntries(HOOKS.map((hook) => [hook, file('hooks', hook)])),
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  for (const [index, port] of nodePorts.entries())
    lines.push(
      `NodeName=n${index + 1} NodeHostname=${hostname()} NodeAddr=127.0.0.1 Port=${port} CPUs=32 RealMemory=500 State=UNKNOWN`,
    );
  lines.push('PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO', '');
  return lines.join('\n');
}
