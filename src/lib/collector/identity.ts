/**
 * Who a collector is: a UUID in its data folder, which it holds for itself as long as it runs.
 *
 * The lock is a Unix socket that the process listens on: it ends with the process however that ends, holds across
 * containers that share the folder, and whoever is refused can ask it for the process to blame.
 */
import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { KwError } from '../errors.ts';
import { folderSocket } from '../folderSocket.ts';

export interface HeldIdentity {
  /** UUID: the collector in kw.collectors. */
  readonly id: string;
  /** Number of this run, higher than that of every run before: the segment in kw.ledger. */
  readonly segment: number;
  readonly folder: string;
  release(): void;
}

interface IdentityFile {
  readonly id: string;
  readonly segment: number;
}

const ASK_TIMEOUT_MS = 1_000;

/**
 * Takes the identity in `<dataFolder>/<name>`, made if there is none.
 * @throws KwError COLLECTOR_RUNNING when another process has it, DATA_FOLDER when the folder cannot be used
 */
export async function holdIdentity(dataFolder: string, name = 'collector'): Promise<HeldIdentity> {
  const folder = identityFolder(dataFolder, name);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new KwError(`cannot make the folder ${folder}: ${(error as Error).message}`, {
      code: 'DATA_FOLDER',
      hint: 'set KW_DATA_DIR to a folder that this user may write',
      cause: error,
    });
  }
  const server = await lock(folder);
  try {
    const before = readIdentity(folder);
    const id = before?.id ?? randomUUID();
    // The clock keeps the numbers rising if the file is lost, the file keeps them rising if the clock is set back.
    const segment = Math.max(Date.now(), (before?.segment ?? 0) + 1);
    writeIdentity(folder, { id, segment });
    return { id, segment, folder, release: () => void server.close() };
  } catch (error) {
    server.close();
    throw error;
  }
}

/**
 * Holds a folder as the collector would that has its identity there.
 * @throws KwError COLLECTOR_RUNNING, DATA_FOLDER as holdIdentity does
 */
export async function holdFolder(folder: string): Promise<{ release(): void }> {
  const server = await lock(folder);
  return { release: () => void server.close() };
}

export function identityFolder(dataFolder: string, name = 'collector'): string {
  return join(dataFolder, name);
}

async function lock(folder: string): Promise<Server> {
  const path = folderSocket(folder, 'lock');
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.end(`${process.pid}\n`);
  });
  server.unref();
  for (let attempt = 0; attempt < 3; attempt++) {
    const failure = await listen(server, path);
    if (failure === undefined) {
      // Two that start at once over the remains of a third may both remove its socket: the later one has it.
      if ((await askHolder(path)) === String(process.pid)) return server;
      server.close();
      throw running(folder, undefined);
    }
    if (failure.code !== 'EADDRINUSE') {
      throw new KwError(`cannot lock the folder ${folder}: ${failure.message}`, {
        code: 'DATA_FOLDER',
        hint: 'set KW_DATA_DIR to a folder of a local file system that this user may write',
        cause: failure,
      });
    }
    const holder = await askHolder(path);
    if (holder !== undefined) throw running(folder, holder);
    // Nobody answers: left behind by a collector that was killed.
    try {
      unlinkSync(path);
    } catch {}
  }
  throw running(folder, undefined);
}

function running(folder: string, pid: string | undefined): KwError {
  const who = pid ? ` (process ${pid})` : '';
  return new KwError(`a collector already runs on the folder ${folder}${who}`, {
    code: 'COLLECTOR_RUNNING',
    hint: 'stop it first, or give this one a folder of its own with KW_DATA_DIR',
  });
}

/** The error of a server that cannot listen there. */
export function listen(server: Server, path: string): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    const onError = (error: NodeJS.ErrnoException) => resolve(error);
    server.once('error', onError);
    server.listen(path, () => {
      server.off('error', onError);
      resolve(undefined);
    });
  });
}

/** The process id that answers on the socket, or undefined when nobody does. */
export function askHolder(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect(path);
    const done = (result: string | undefined) => {
      socket.destroy();
      resolve(result);
    };
    socket.setEncoding('utf8');
    socket.setTimeout(ASK_TIMEOUT_MS, () => done('unknown'));
    socket.on('data', (text: string) => {
      answer += text;
    });
    socket.on('end', () => done(answer.trim()));
    socket.on('error', () => done(undefined));
  });
}

function readIdentity(folder: string): IdentityFile | undefined {
  let text: string;
  try {
    text = readFileSync(join(folder, 'identity.json'), 'utf8');
  } catch {
    return undefined;
  }
  try {
    const { id, segment } = JSON.parse(text) as Partial<IdentityFile>;
    if (typeof id === 'string' && /^[0-9a-f-]{36}$/.test(id) && Number.isSafeInteger(segment)) {
      return { id, segment: segment as number };
    }
  } catch {}
  throw new KwError(`the file ${join(folder, 'identity.json')} is damaged`, {
    code: 'DATA_FOLDER',
    hint: 'remove it: the collector then counts as a new one',
  });
}

function writeIdentity(folder: string, identity: IdentityFile): void {
  const path = join(folder, 'identity.json');
  writeFileSync(`${path}.new`, `${JSON.stringify(identity)}\n`, { mode: 0o600, flush: true });
  renameSync(`${path}.new`, path);
}
