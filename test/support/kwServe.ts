/** A real `kw serve` on a database of a test, with keys of its own, and tokens made for it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestDatabase } from './database.ts';
import { endProcess } from './endProcess.ts';
import { runKw, startKw } from './kw.ts';

/** Longer than any file of tests takes on a busy machine. */
const LIFE_MS = 600_000;

export interface KwServe {
  /** Such as `http://127.0.0.1:41234`. */
  readonly url: string;
  /** @param args as of `kw token create`, such as `--role writer` */
  token(user: string, ...args: string[]): Promise<string>;
  /** Ends it at once, as a power cut does. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

export async function startKwServe(database: TestDatabase, listen = '127.0.0.1:0'): Promise<KwServe> {
  const folder = mkdtempSync(join(tmpdir(), 'kw-serve-'));
  const env = { KW_DATABASE_URL: database.url, KW_DATA_DIR: folder };
  const token = async (user: string, ...args: string[]) => {
    const { stdout, stderr, code } = await runKw(['token', 'create', '--user', user, ...args], { env });
    if (code !== 0) throw new Error(`kw token create: ${stderr}`);
    return stdout.trim();
  };
  // The server refuses to start without a key.
  await token('nobody');
  const child = startKw(['serve', '--listen', listen, '--json'], { env, timeoutMs: LIFE_MS });
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const url = await new Promise<string>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`kw serve ended with ${code}: ${said}`)));
    if (child.stdout === null) throw new Error('no pipe');
    createInterface(child.stdout).once('line', (line) => {
      resolve((JSON.parse(line) as { url: string }).url);
    });
  });
  const end = async (signal: NodeJS.Signals) => {
    if (signal === 'SIGKILL') child.kill(signal);
    await endProcess(child);
    rmSync(folder, { recursive: true, force: true });
  };
  return { url, token, kill: () => end('SIGKILL'), stop: () => end('SIGTERM') };
}
