/**
 * A real OAR server (Debian's oar-server) for tests: Almighty with its scheduler on a PostgreSQL of its own, made-up
 * nodes, noop jobs (which reserve nodes without ssh). OAR's programs drop from root to the user `oar` and read
 * a configuration of their own here; nothing under /etc is changed. Everything is in one temporary folder.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Client, escapeLiteral } from 'pg';
import { openClient } from '../../src/lib/database/connection.ts';
import { installBinaries } from '../../src/lib/database/embedded/binaries.ts';
import { processesIn } from '../../src/lib/database/embedded/process.ts';
import { serverUser } from '../../src/lib/database/embedded/serverUser.ts';
import { endProcess } from './endProcess.ts';
import { freePort } from './freePort.ts';
import { temporaryFolder } from './temporaryFolder.ts';
import { waitUntil } from './waitUntil.ts';

const OAR = '/usr/lib/oar';
/** Debian's packages oar-server, oar-server-pgsql, oar-user and oar-user-pgsql; only root can become the user oar. */
export const hasOar = existsSync(join(OAR, 'Almighty')) && process.getuid?.() === 0;

/** Of OAR's own logins, whose configuration takes no quotes, and of kw's. */
const PASSWORD = 'oar-secret';
const KW_PASSWORD = 'p@ss \'"\\word';
/** Almighty looks every ten seconds at what is due, unless something happens. */
const NUDGE_MS = 300;

export interface OarJob {
  readonly Job_Id: number;
  readonly state: string;
  readonly owner: string;
  readonly startTime: number;
  readonly stopTime?: number;
  readonly types: readonly string[];
  readonly assigned_network_address: readonly string[];
}

export interface Oar {
  /** For `kw job source add`: a login that may only read. */
  readonly url: string;
  /** The password in it, as it is. */
  readonly password: string;
  readonly port: number;
  /** Connected to OAR's database as its owner. */
  connect(): Promise<Client>;
  /** Runs a command of OAR as an ordinary user (`nobody`); its standard output. */
  run(command: string, args: readonly string[], user?: string): Promise<string>;
  /** Submits a noop job as an ordinary user; the number of the job, or of each of an array. */
  submit(options: {
    types?: readonly string[];
    /** OAR's own words, such as `network_address=2,walltime=0:1`. */
    resources: string;
    seconds?: number;
    properties?: string;
    array?: number;
    /** Not to begin before oarresume. */
    hold?: boolean;
    user?: string;
  }): Promise<number[]>;
  cancel(...jobs: readonly number[]): Promise<void>;
  /** What OAR itself says of these jobs. */
  stat(...jobs: readonly number[]): Promise<OarJob[]>;
  stopDatabase(): Promise<void>;
  /** Unless it runs. */
  startDatabase(): Promise<void>;
  /** Its processes take connections and bytes, and answer nothing. */
  freezeDatabase(): void;
  thawDatabase(): void;
  /** Almighty does not survive its database. */
  restartServer(): Promise<void>;
  /** Ends the jobs whose time is over now, not at the next of Almighty's looks every ten seconds. */
  endOverdue(): void;
  /** What OAR runs when jobs begin and end, with the number of the job. */
  setHook(kind: 'server_prologue' | 'server_epilogue', script: string): void;
  log(): string;
  stop(): Promise<void>;
}

export interface OarOptions {
  readonly nodes: readonly string[];
  /** Resources of each node, to reserve with `resource_id=1`. */
  readonly cores?: number;
  /** Further lines of oar.conf. */
  readonly settings?: Readonly<Record<string, string>>;
}

export async function startOar({ nodes, cores = 1, settings = {} }: OarOptions): Promise<Oar> {
  const { folder, remove } = temporaryFolder();
  const [port, oarPort] = [await freePort(), await freePort()];
  const ids = await oarIds();
  const postgres = await makeCluster(folder, port);
  let database = await startPostgres(postgres, folder, port);
  await fillDatabase(port);
  for (const kind of ['hooks', 'runtime']) mkdirSync(join(folder, kind));
  for (const kind of ['hooks', 'runtime']) chownSync(join(folder, kind), ids.uid, ids.gid);
  const configuration = join(folder, 'oar.conf');
  writeFileSync(configuration, oarConf(folder, port, oarPort, settings));
  chownSync(configuration, ids.uid, ids.gid);
  chmodSync(configuration, 0o640);

  const environment = (user: string, uid: number) => ({
    HOME: '/var/lib/oar',
    SHELL: '/bin/bash',
    PWD: '/',
    USER: 'oar',
    LOGNAME: 'oar',
    LC_ALL: 'C',
    OARUSER: 'oar',
    OARDO_USER: user,
    OARDO_UID: String(uid),
    OARDIR: OAR,
    OARCONFFILE: configuration,
    OARXAUTHLOCATION: '/usr/bin/xauth',
    PATH: `/bin:/sbin:/usr/bin:/usr/sbin:${OAR}/oardodo`,
  });
  const run = async (command: string, args: readonly string[], user = 'nobody') => {
    const { uid } = await oarIds(user);
    const { stdout } = await promisify(execFile)(
      'setpriv',
      ['--reuid=oar', '--regid=oar', '--init-groups', join(OAR, command), ...args],
      { cwd: '/', env: environment(user, uid), timeout: 30_000 },
    );
    return stdout;
  };
  // As oarnotify does; whether Almighty took it.
  const notify = (command: string) =>
    new Promise<boolean>((resolve) => {
      const socket = connect(oarPort, '127.0.0.1', () => socket.end(`${command}\n`, () => resolve(true)));
      socket.on('error', () => resolve(false));
    });
  const startServer = async () => {
    const child = spawn(
      'setpriv',
      ['--reuid=oar', '--regid=oar', '--init-groups', join(OAR, 'Almighty')],
      // A group of its own, whose members are Almighty's modules.
      { cwd: '/', env: environment('root', 0), stdio: 'ignore', detached: true },
    );
    const kill = () => killGroup(child);
    process.once('exit', kill);
    child.once('exit', () => process.removeListener('exit', kill));
    await waitUntil(() => notify('Time'), 10_000, 100);
    return child;
  };
  for (const kind of ['server_prologue', 'server_epilogue']) setHook(folder, kind, 'exit 0');
  for (const node of nodes) await run('oarnodesetting', ['-a', '-h', node], 'root');
  if (cores > 1) await addResources(port, cores);
  let server = await startServer();
  const nudge = setInterval(() => void notify('Time'), NUDGE_MS).unref();

  return {
    url: `postgres://kw_ro:${encodeURIComponent(KW_PASSWORD)}@127.0.0.1:${port}/oar`,
    password: KW_PASSWORD,
    port,
    connect: () => openClient(oarTarget(port, 'oar')),
    run,
    async submit({ types = [], resources, seconds, properties, array, hold, user }) {
      const stdout = await run(
        'oarsub',
        [
          ...['noop', ...types].flatMap((type) => ['-t', type]),
          '-l',
          resources,
          ...(properties === undefined ? [] : ['-p', properties]),
          ...(array === undefined ? [] : ['--array', String(array)]),
          ...(hold ? ['--hold'] : []),
          `sleep ${seconds ?? 3600}`,
        ],
        user,
      );
      return [...stdout.matchAll(/OAR_JOB_ID=(\d+)/g)].map(([, id]) => Number(id));
    },
    async cancel(...jobs) {
      await run('oardel', jobs.map(String), 'root');
    },
    async stat(...jobs) {
      const stdout = await run('oarstat', ['-J', '-f', ...jobs.flatMap((job) => ['-j', String(job)])]);
      return Object.values(JSON.parse(stdout) as Record<string, OarJob>);
    },
    async stopDatabase() {
      await endProcess(database, 5_000);
    },
    async startDatabase() {
      const hasEnded = database.exitCode !== null || database.signalCode !== null;
      if (hasEnded) database = await startPostgres(postgres, folder, port);
    },
    freezeDatabase: () => signalAll(join(folder, 'data'), 'SIGSTOP'),
    thawDatabase: () => signalAll(join(folder, 'data'), 'SIGCONT'),
    async restartServer() {
      killGroup(server);
      server = await startServer();
    },
    endOverdue: () => void notify('Villains'),
    setHook: (kind, script) => setHook(folder, kind, script),
    log: () => readFileSync(join(folder, 'runtime', 'oar.log'), 'utf8'),
    async stop() {
      clearInterval(nudge);
      killGroup(server);
      signalAll(join(folder, 'data'), 'SIGCONT');
      await endProcess(database, 2_000);
      remove();
    },
  };
}

async function oarIds(user = 'oar'): Promise<{ uid: number; gid: number }> {
  const { stdout } = await promisify(execFile)('id', ['-u', user]);
  const { stdout: group } = await promisify(execFile)('id', ['-g', user]);
  return { uid: Number(stdout), gid: Number(group) };
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It is over.
  }
}

function signalAll(dataFolder: string, signal: NodeJS.Signals): void {
  for (const pid of processesIn(dataFolder)) {
    try {
      process.kill(pid, signal);
    } catch {
      // It is over.
    }
  }
}

function setHook(folder: string, kind: string, script: string): void {
  const path = join(folder, 'hooks', kind);
  writeFileSync(path, `#!/bin/bash\n${script}\n`);
  chmodSync(path, 0o755);
}

interface Cluster {
  readonly program: string;
  readonly uid: number;
  readonly gid: number;
}

async function makeCluster(folder: string, port: number): Promise<Cluster> {
  const { initdb, postgres } = installBinaries(folder);
  const { uid, gid } = serverUser();
  const data = join(folder, 'data');
  mkdirSync(data);
  chownSync(data, uid, gid);
  const passwordFile = join(folder, 'password');
  writeFileSync(passwordFile, PASSWORD);
  const options = ['-D', data, '-U', 'postgres', '-E', 'UTF8', '--no-sync', `--pwfile=${passwordFile}`];
  await promisify(execFile)(initdb, [...options, '--auth=scram-sha-256', '--locale=C'], {
    uid,
    gid,
    cwd: '/',
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
  });
  const settings = [
    "listen_addresses = '127.0.0.1'",
    `port = ${port}`,
    "unix_socket_directories = ''",
    'fsync = off',
    'max_connections = 100',
  ];
  writeFileSync(join(data, 'postgresql.auto.conf'), `${settings.join('\n')}\n`);
  return { program: postgres, uid, gid };
}

async function startPostgres(cluster: Cluster, folder: string, port: number): Promise<ChildProcess> {
  const child = spawn(cluster.program, ['-D', join(folder, 'data')], {
    uid: cluster.uid,
    gid: cluster.gid,
    cwd: '/',
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' },
    stdio: ['ignore', 'ignore', openSync(join(folder, 'postgres.log'), 'a')],
  });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  child.once('exit', () => process.removeListener('exit', kill));
  for (let attempt = 0; ; attempt++) {
    try {
      const client = await openClient(oarTarget(port, 'postgres', 'postgres'));
      await client.end();
      return child;
    } catch (error) {
      if (attempt === 50 || child.exitCode !== null) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

function oarTarget(port: number, user: string, database = 'oar') {
  const url = `postgres://${user}:${encodeURIComponent(PASSWORD)}@127.0.0.1:${port}/${database}?sslmode=disable`;
  return { url, label: `${user} of OAR`, embedded: false };
}

async function fillDatabase(port: number): Promise<void> {
  const admin = await openClient(oarTarget(port, 'postgres', 'postgres'));
  await admin.query(
    `CREATE ROLE oar LOGIN PASSWORD '${PASSWORD}'; CREATE ROLE oar_ro LOGIN PASSWORD '${PASSWORD}'`,
  );
  await admin.query(`CREATE ROLE kw_ro LOGIN PASSWORD ${escapeLiteral(KW_PASSWORD)}`);
  await admin.query('CREATE DATABASE oar OWNER oar');
  await admin.end();
  const client = await openClient(oarTarget(port, 'oar'));
  for (const name of ['pg_structure', 'default_data', 'pg_default_admission_rules']) {
    await client.query(readFileSync(join(OAR, 'database', `${name}.sql`), 'utf8'));
  }
  // As a site does for Kwollect: the type `monitor`, with or without a pattern.
  await client.query(
    `UPDATE admission_rules SET rule = replace(rule, 'qr/^noop(?:=standby)?$/,',
       'qr/^noop(?:=standby)?$/, qr/^monitor(?:=.+)?$/,')
     WHERE rule LIKE '%Check if job types are valid%'`,
  );
  await client.query('GRANT SELECT ON ALL TABLES IN SCHEMA public TO oar_ro, kw_ro');
  await client.end();
}

/** As `oarnodesetting -a` adds one to a node, which takes a second each. */
async function addResources(port: number, cores: number): Promise<void> {
  const client = await openClient(oarTarget(port, 'oar'));
  await client.query(
    `INSERT INTO resources (network_address, state)
     SELECT network_address, state FROM resources CROSS JOIN generate_series(2, $1::int)`,
    [cores],
  );
  await client.end();
}

/** Debian's oar.conf with what differs here. */
function oarConf(
  folder: string,
  databasePort: number,
  oarPort: number,
  settings: Readonly<Record<string, string>>,
): string {
  const changes: Record<string, string> = {
    DB_HOSTNAME: '127.0.0.1',
    DB_TYPE: 'Pg',
    DB_PORT: String(databasePort),
    DB_BASE_NAME: 'oar',
    DB_BASE_LOGIN: 'oar',
    DB_BASE_PASSWD: PASSWORD,
    DB_BASE_LOGIN_RO: 'oar_ro',
    DB_BASE_PASSWD_RO: PASSWORD,
    SERVER_HOSTNAME: '127.0.0.1',
    SERVER_PORT: String(oarPort),
    OARSUB_DEFAULT_RESOURCES: '/network_address=1',
    LOG_LEVEL: '3',
    LOG_FILE: join(folder, 'runtime', 'oar.log'),
    OAR_RUNTIME_DIRECTORY: join(folder, 'runtime'),
    // The made-up nodes are not checked, else they become Suspected.
    FINAUD_FREQUENCY: '0',
    SCHEDULER_MIN_TIME_BETWEEN_2_CALLS: '1',
    SERVER_PROLOGUE_EXEC_FILE: join(folder, 'hooks', 'server_prologue'),
    SERVER_EPILOGUE_EXEC_FILE: join(folder, 'hooks', 'server_epilogue'),
    ...settings,
  };
  const kept = readFileSync('/etc/oar/oar.conf', 'utf8')
    .split('\n')
    .filter((line) => {
      const name = /^([A-Z_]+)\s*=/.exec(line)?.[1];
      // No cpusets.
      return name !== undefined && !(name in changes) && name !== 'JOB_RESOURCE_MANAGER_PROPERTY_DB_FIELD';
    });
  return [...kept, ...Object.entries(changes).map(([name, value]) => `${name}="${value}"`), ''].join('\n');
}
