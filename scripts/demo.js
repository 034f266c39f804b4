/**
 * npm run demo: kw at work on this machine, from nothing. Installs and builds where needed, starts the embedded
 * database, an SNMP agent of its own and a collector, registers a job for this host, and shows its metrics.
 *
 *   npm run demo              may be run again at any time
 *   npm run demo -- --stop    ends everything that it started; keeps what was stored
 */
import { execFile, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { writeConfig } from './demo/config.js';
import { endProcess, freeTcpPort, freeUdpPort, readLog, startProcess, untilReady } from './demo/processes.js';
import { configFile, demoFolder, readState, writeState } from './demo/state.js';
import { prepare, root } from './prepare.js';

const KW = join(root, 'bin', 'run.js');
const COLLECT_SECONDS = 8;
const START_TIMEOUT_MS = 20_000;
const EXPORTER_PORT = 9100;

const bold = (text) => (process.stdout.isTTY ? `\x1b[1m${text}\x1b[0m` : text);
const say = (text) => process.stdout.write(`${text}\n`);

/** Settings of the user's own kw and of a surrounding job do not belong to the demo. */
function demoEnv() {
  const foreign = /^(KW_|PG|OAR_|SLURM_)/;
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.test(name)));
  return { ...env, KW_CONFIG: configFile, KW_DATA_DIR: demoFolder };
}

async function kw(...args) {
  try {
    return await promisify(execFile)(process.execPath, [KW, ...args], {
      cwd: demoFolder,
      env: demoEnv(),
      maxBuffer: 64 * 1024 * 1024,
    });
  } catch (error) {
    throw new Error(`kw ${args.join(' ')} failed:\n${error.stderr || error.message}`);
  }
}

async function endAll() {
  const state = readState();
  for (const name of ['collector', 'agent']) await endProcess(state.processes[name]);
  writeState({ ...state, processes: {} });
}

async function stop() {
  if (!existsSync(configFile)) {
    say('The demo was never started.');
    return;
  }
  await prepare((text) => say(`... ${text}`));
  await endAll();
  await kw('db', 'stop');
  say('The demo is stopped: collector, simulated PDU and embedded database.');
  say(
    `What it stored is kept: ${readState().database ?? 'nothing'}; configuration and logs in ${demoFolder}.`,
  );
}

async function hasExporter() {
  try {
    const response = await fetch(`http://127.0.0.1:${EXPORTER_PORT}/metrics`, {
      signal: AbortSignal.timeout(1000),
    });
    return response.ok && (await response.text()).includes('node_procs_running');
  } catch {
    return false;
  }
}

async function startAgent(state, host) {
  const agentPort = await freeUdpPort();
  const agent = startProcess('agent', [join(root, 'dist', 'demo', 'agent.js'), String(agentPort), host], {
    cwd: demoFolder,
    env: demoEnv(),
  });
  state.processes.agent = agent;
  writeState(state);
  if (!(await untilReady(agent, () => readLog('agent').includes('ready '), START_TIMEOUT_MS))) {
    throw new Error(`the simulated PDU does not start:\n${readLog('agent')}`);
  }
  return { agentPort, agent: JSON.parse(readLog('agent').replace(/^.*ready /s, '')) };
}

async function startCollector(state) {
  const collector = startProcess('collector', [KW, 'collect'], { cwd: demoFolder, env: demoEnv() });
  state.processes.collector = collector;
  writeState(state);
  return collector;
}

async function progress(seconds) {
  for (let left = seconds; left > 0; left--) {
    if (process.stdout.isTTY) process.stdout.write(`\r   collecting, ${left} s \x1b[K`);
    await sleep(1000);
  }
  if (process.stdout.isTTY) process.stdout.write('\r\x1b[K');
}

async function demo() {
  await prepare((text) => say(`... ${text}`));
  const host = hostname().split('.')[0];
  const state = readState();
  await endAll();
  state.processes = {};
  writeState(state);

  say(bold('1. A database'));
  writeConfig({ host, agentPort: 1, agent: {}, listenPort: await freeTcpPort() });
  const database = JSON.parse((await kw('db', 'start', '--json')).stdout);
  state.database = database.label;
  say(`   ${database.adopted ? 'running already' : 'started'}: ${database.label} (process ${database.pid})`);

  say(bold('2. Devices'));
  const { agentPort, agent } = await startAgent(state, host);
  say(`   a simulated PDU: SNMP on udp 127.0.0.1:${agentPort}, with this machine's own load and memory`);
  say(
    `   power is ${agent.measuredPower ? 'that of the processor (RAPL)' : 'estimated from the load: this machine shows no meter to this user'}`,
  );
  const exporterPort = (await hasExporter()) ? EXPORTER_PORT : undefined;
  if (exporterPort)
    say(`   this machine's own Prometheus exporter: http://127.0.0.1:${exporterPort}/metrics`);
  writeConfig({ host, agentPort, agent, listenPort: await freeTcpPort(), exporterPort });

  say(bold('3. A collector'));
  const collector = await startCollector(state);
  say(`   kw collect, in the background (process ${collector.pid})`);

  say(bold('4. A job on this machine'));
  if (state.lastJob > 0) await kw('job', 'stop', '--job', String(state.lastJob)).catch(() => undefined);
  state.lastJob += 1;
  const job = String(state.lastJob);
  await kw('job', 'start', '--job', job, '--nodes', host, '--timeout', '20s');
  writeState(state);
  say(`   kw job start --job ${job} --nodes ${host}`);
  await progress(COLLECT_SECONDS);
  if (!(await untilReady(collector, () => true, 1))) {
    throw new Error(`the collector has ended:\n${readLog('collector').slice(-2000)}`);
  }

  say(bold(`5. Its metrics: kw query --job ${job} --wide`));
  const { status } = spawnSync(process.execPath, [KW, 'query', '--job', job, '--wide', '--limit', '10'], {
    cwd: demoFolder,
    env: demoEnv(),
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (status !== 0) throw new Error('kw query failed; npm run demo -- --stop ends what still runs');
  farewell(job, state);
}

function farewell(job, state) {
  const run = `node ${KW}`;
  // These variables of the user's would be stronger than the demo's kw.yaml.
  const dataDir = process.env.KW_DATA_DIR ? ` KW_DATA_DIR=${demoFolder}` : '';
  const others = ['KW_DATABASE_URL', 'KW_URL'].filter((name) => process.env[name]);
  const unset = others.length > 0 ? `unset ${others.join(' ')}\n   ` : '';
  say(`
${bold('How to go on')}
   ${unset}export KW_CONFIG=${configFile}${dataDir}
   ${run} query --job ${job} --metric 'pdu_*' --every 5s
   ${run} query --job ${job} --format csv
   ${run} export csv --job ${job} -o job-${job}.csv
   ${run} metrics
   ${run} status
   ${run} token create --user $(whoami) && ${run} serve    # a page with charts at http://127.0.0.1:9843/
   ${run} job stop --job ${job}

${bold('What still runs')}: the collector (process ${state.processes.collector.pid}), the simulated PDU (${state.processes.agent.pid}) and the embedded database.
   configuration and logs: ${demoFolder}
   npm run demo -- --stop    ends all of it`);
}

let ending = false;

/** Ctrl-C during the demo ends what it started; the terminal's signal does not reach background processes. */
async function end(signal, exitCode) {
  if (ending) process.exit(exitCode);
  ending = true;
  say(`\n${signal}: ending the demo`);
  await stop().catch((error) => process.stderr.write(`${error.message}\n`));
  process.exit(exitCode);
}

// A reader that has seen enough (`| head`) does not stop the work: what was begun is still ended in order.
process.stdout.on('error', () => {});
process.on('SIGINT', () => end('SIGINT', 130));
process.on('SIGTERM', () => end('SIGTERM', 143));
try {
  await (process.argv.includes('--stop') ? stop() : demo());
} catch (error) {
  // While it is being ended, what it waited for fails.
  if (ending) await new Promise(() => {});
  process.stderr.write(`npm run demo: ${error.message}\n`);
  process.exit(1);
}
