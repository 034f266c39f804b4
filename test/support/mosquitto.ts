/**
 * A real broker, Debian's mosquitto, on a port of the loopback:
 *
 *   const broker = await startMosquitto({ password: true });
 *   await broker.publish('lab/power', '42');
 *   await broker.stop();
 */
import { execFileSync, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import mqtt from 'mqtt';
import { endProcess } from './endProcess.ts';
import { freePort } from './freePort.ts';
import type { Certificate } from './nodeExporter.ts';
import { findProgram } from './skip.ts';
import { temporaryFolder } from './temporaryFolder.ts';

export const mosquittoPath = findProgram('mosquitto');

export interface MosquittoOptions {
  /** User `meter` with the password `s3cret/pass`, who may read and write everything but `hidden/`. */
  readonly password?: boolean;
  readonly tls?: Certificate;
  /** To start again where one was stopped. */
  readonly port?: number;
}

export interface Mosquitto {
  readonly port: number;
  /** Resolves when the broker has the message. */
  publish(
    topic: string,
    payload: string | Buffer,
    options?: { qos?: 0 | 1; retain?: boolean },
  ): Promise<void>;
  stop(): Promise<void>;
}

export async function startMosquitto(options: MosquittoOptions = {}): Promise<Mosquitto> {
  const { password, tls } = options;
  const { folder, remove } = temporaryFolder();
  const port = options.port ?? (await freePort());
  const lines = [
    `listener ${port} 127.0.0.1`,
    `allow_anonymous ${!password}`,
    'persistence false',
    'user root',
  ];
  if (password) {
    const file = join(folder, 'passwords');
    writeFileSync(file, 'meter:s3cret/pass\n', { mode: 0o600 });
    execFileSync(findProgram('mosquitto_passwd') ?? 'mosquitto_passwd', ['-U', file]);
    const rights = join(folder, 'rights');
    writeFileSync(rights, 'user meter\ntopic readwrite lab/#\ntopic readwrite $SYS/#\n', { mode: 0o600 });
    lines.push(`password_file ${file}`, `acl_file ${rights}`);
  }
  if (tls) lines.push(`certfile ${tls.certFile}`, `keyfile ${tls.keyFile}`);
  const configuration = join(folder, 'mosquitto.conf');
  writeFileSync(configuration, `${lines.join('\n')}\n`);
  const child = spawn(mosquittoPath ?? 'mosquitto', ['-c', configuration], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  const note = (chunk: Buffer) => {
    log = (log + chunk.toString()).slice(-4000);
  };
  child.stdout.on('data', note);
  child.stderr.on('data', note);
  const deadline = Date.now() + 10_000;
  while (!(await accepts(port))) {
    if (child.exitCode !== null || Date.now() > deadline) {
      await endProcess(child);
      remove();
      throw new Error(`no mosquitto:\n${log}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  const url = `${tls ? 'mqtts' : 'mqtt'}://127.0.0.1:${port}`;
  const publisher = mqtt.connect(url, {
    rejectUnauthorized: false,
    reconnectPeriod: 0,
    ...(password && { username: 'meter', password: 's3cret/pass' }),
  });
  publisher.on('error', () => {});
  await new Promise<void>((resolve) => publisher.once('connect', () => resolve()));
  return {
    port,
    async publish(topic, payload, { qos = 1, retain = false } = {}) {
      await publisher.publishAsync(topic, payload, { qos, retain });
    },
    async stop() {
      publisher.end(true);
      await endProcess(child);
      remove();
    },
  };
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const answer = (accepted: boolean) => {
      socket.destroy();
      resolve(accepted);
    };
    socket.once('connect', () => answer(true)).once('error', () => answer(false));
  });
}
