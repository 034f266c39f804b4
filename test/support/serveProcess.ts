/** `kw serve` as a process of its own, built for production, with anonymous reading where the database allows it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../src/lib/packageRoot.ts';
import { endProcess } from './endProcess.ts';
import { temporaryFolder } from './temporaryFolder.ts';

const START_MS = 20_000;

export interface ServeProcess {
  /** Such as `http://127.0.0.1:41234`. */
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/** @param databaseUrl a superuser's */
export async function startServe(databaseUrl: string): Promise<ServeProcess> {
  const { folder, remove } = temporaryFolder();
  writeFileSync(join(folder, 'kw.yaml'), '{}\n');
  const child = spawn(
    process.execPath,
    [join(packageRoot(), 'bin', 'run.js'), 'serve', '--json', '--listen', '127.0.0.1:0'],
    {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env.PATH,
        HOME: folder,
        NODE_ENV: 'production',
        KW_CONFIG: join(folder, 'kw.yaml'),
        KW_DATA_DIR: folder,
        KW_DATABASE_URL: databaseUrl,
      },
    },
  );
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text;
  });
  const stop = async () => {
    await endProcess(child);
    remove();
  };
  const timer = setTimeout(() => child.kill('SIGKILL'), START_MS);
  const ended = once(child, 'exit').then(() => undefined);
  const line = await Promise.race([once(child.stdout.setEncoding('utf8'), 'data'), ended]);
  clearTimeout(timer);
  if (line === undefined) {
    remove();
    throw new Error(`kw serve ended:\n${log}`);
  }
  const { url } = JSON.parse(String(line[0])) as { url: string };
  return { url, pid: child.pid as number, stop };
}
