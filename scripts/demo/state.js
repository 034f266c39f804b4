/**
 * What the demo remembers between its runs, in <data folder>/demo/state.json: which processes are its own.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, isAbsolute, join, resolve } from 'node:path';

/** As src/lib/dataFolder.ts: the same for every checkout of kw. */
function dataFolder(env) {
  if (env.KW_DATA_DIR) return resolve(env.KW_DATA_DIR);
  if (env.XDG_DATA_HOME && isAbsolute(env.XDG_DATA_HOME)) return join(env.XDG_DATA_HOME, 'kw');
  return join(homedir(), '.local', 'share', 'kw');
}

/**
 * A folder of its own below the data folder: the demo never touches a database with real metrics. In a shell where
 * somebody went on as the demo tells, KW_DATA_DIR is that folder already.
 */
export function demoFolderOf(env) {
  const folder = dataFolder(env);
  return basename(folder) === 'demo' && existsSync(join(folder, 'state.json'))
    ? folder
    : join(folder, 'demo');
}

export const demoFolder = demoFolderOf(process.env);
export const configFile = join(demoFolder, 'kw.yaml');
export const logFolder = join(demoFolder, 'log');
const stateFile = join(demoFolder, 'state.json');

/** { processes: {[name]: {pid, startedAt}}, lastJob, agentPort, listenPort } */
export function readState() {
  if (!existsSync(stateFile)) return { processes: {}, lastJob: 0 };
  return JSON.parse(readFileSync(stateFile, 'utf8'));
}

export function writeState(state) {
  mkdirSync(demoFolder, { recursive: true });
  writeFileSync(`${stateFile}.new`, `${JSON.stringify(state, null, 2)}\n`);
  renameSync(`${stateFile}.new`, stateFile);
}
