/** Background processes of the demo: started so that they outlive it, found again by the next run, and ended. */
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { logFolder } from './state.js';

const POLL_MS = 50;

/** Starts Node in the background, output to <log folder>/<name>.log. Returns what endProcess() needs. */
export function startProcess(name, args, { cwd, env }) {
  mkdirSync(logFolder, { recursive: true });
  const log = openSync(join(logFolder, `${name}.log`), 'w');
  const child = spawn(process.execPath, args, { cwd, env, detached: true, stdio: ['ignore', log, log] });
  closeSync(log);
  child.unref();
  return { pid: child.pid, startedAt: startTimeOf(child.pid) };
}

export function readLog(name) {
  return readFileSync(join(logFolder, `${name}.log`), 'utf8');
}

export function lives(known) {
  if (!known?.pid) return false;
  try {
    process.kill(known.pid, 0);
  } catch {
    return false;
  }
  return startTimeOf(known.pid) === known.startedAt;
}

/**
 * When a process was started, in clock ticks since boot (field 22 of /proc/PID/stat): its number may be another's
 * by now. undefined where there is no /proc; null for one that has ended but was not yet reaped.
 */
function startTimeOf(pid) {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return fields[0] === 'Z' ? null : fields[19];
  } catch {
    return undefined;
  }
}

/** SIGTERM, and SIGKILL for what is still there after `graceMs`. Resolves to whether it ran. */
export async function endProcess(known, graceMs = 15_000) {
  if (!lives(known)) return false;
  const deadline = Date.now() + graceMs;
  process.kill(known.pid, 'SIGTERM');
  while (lives(known)) {
    if (Date.now() > deadline) {
      process.kill(known.pid, 'SIGKILL');
      break;
    }
    await sleep(POLL_MS);
  }
  return true;
}

/** Resolves to false when `ready()` has not become true in time or the process has ended. */
export async function untilReady(known, ready, timeoutMs) {
  const deadline = Date.now() + timeoutMs;
  while (Date.now() < deadline) {
    if (await ready()) return true;
    if (!lives(known)) return false;
    await sleep(POLL_MS);
  }
  return false;
}

/** A UDP port of loopback that nobody uses at this moment. */
export function freeUdpPort() {
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4');
    socket.once('error', reject);
    socket.bind(0, '127.0.0.1', () => {
      const { port } = socket.address();
      socket.close(() => resolve(port));
    });
  });
}

export function freeTcpPort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
