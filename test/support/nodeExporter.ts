/**
 * A real prometheus-node-exporter (Debian package of that name) with a textfile folder, by http or https:
 *
 *   describe.skipIf(skipUnless('prometheus-node-exporter', hasNodeExporter))(...)
 *   const exporter = await startNodeExporter({ tls: makeCertificate(folder) });
 *   exporter.writeTextfile('mine.prom', 'kwollect_custom{_metric_id="m"} 1\n');
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { endProcess } from './endProcess.ts';
import { freePort } from './freePort.ts';
import { findProgram, hasProgram } from './skip.ts';
import { temporaryFolder } from './temporaryFolder.ts';

/** Debian's name, and that of the project's own binaries. */
const PROGRAMS = ['prometheus-node-exporter', 'node_exporter'];

export const hasNodeExporter = PROGRAMS.some(hasProgram);

const START_TIMEOUT_MS = 15_000;
const STOP_TIMEOUT_MS = 5_000;

export interface Certificate {
  readonly certFile: string;
  readonly keyFile: string;
}

export interface NodeExporterOptions {
  readonly tls?: Certificate;
  /** User `alice` with the password `wonderland`. */
  readonly basicAuth?: boolean;
  /** Default: all collectors that the exporter has by default. */
  readonly collectors?: readonly string[];
}

export interface NodeExporter {
  readonly port: number;
  /** Puts a file into the textfile folder at once, as the exporter's documentation asks. */
  writeTextfile(name: string, text: string): void;
  stop(): Promise<void>;
}

/** bcrypt of `wonderland`, at the least cost. */
const PASSWORD_HASH = '$2b$04$p8/Pw46uFHmQcGS9OIWqLu7dX80PkGNU7MTrs/4yCBYIDr8IwnXbG';

export async function startNodeExporter(options: NodeExporterOptions = {}): Promise<NodeExporter> {
  const program = PROGRAMS.map(findProgram).find((path) => path !== undefined);
  if (program === undefined) throw new Error('prometheus-node-exporter is missing');
  const { folder, remove } = temporaryFolder();
  const textfiles = join(folder, 'textfiles');
  mkdirSync(textfiles);
  const port = await freePort();
  const webConfig = join(folder, 'web.yml');
  writeFileSync(webConfig, webConfigOf(options));
  const child = spawn(
    program,
    [
      `--web.listen-address=127.0.0.1:${port}`,
      `--web.config.file=${webConfig}`,
      `--collector.textfile.directory=${textfiles}`,
      ...(options.collectors
        ? ['--collector.disable-defaults', ...options.collectors.map((name) => `--collector.${name}`)]
        : []),
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => {
    log = (log + chunk.toString()).slice(-4000);
  });
  const stop = async () => {
    await endProcess(child, STOP_TIMEOUT_MS);
    remove();
  };
  try {
    await listening(child, port);
  } catch (error) {
    await stop();
    throw new Error(`${(error as Error).message}:\n${log}`);
  }
  return {
    port,
    writeTextfile(name, text) {
      const temporary = join(textfiles, `.${name}.tmp`);
      writeFileSync(temporary, text);
      renameSync(temporary, join(textfiles, name));
    },
    stop,
  };
}

/** A certificate for 127.0.0.1 and localhost that is its own authority, made with openssl. */
export function makeCertificate(folder: string): Certificate {
  const certFile = join(folder, 'cert.pem');
  const keyFile = join(folder, 'key.pem');
  const subject = ['-subj', '/CN=kw test', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost'];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', keyFile];
  execFileSync('openssl', ['req', '-x509', '-days', '2', ...subject, ...key, '-out', certFile], {
    stdio: 'ignore',
  });
  return { certFile, keyFile };
}

function webConfigOf({ tls, basicAuth }: NodeExporterOptions): string {
  const tlsLines = tls
    ? ['tls_server_config:', `  cert_file: ${tls.certFile}`, `  key_file: ${tls.keyFile}`]
    : [];
  const authLines = basicAuth ? ['basic_auth_users:', `  alice: ${PASSWORD_HASH}`] : [];
  return [...tlsLines, ...authLines, ''].join('\n');
}

async function listening(child: ChildProcess, port: number): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (!(await accepts(port))) {
    if (child.exitCode !== null) throw new Error(`the node exporter ended with ${child.exitCode}`);
    if (Date.now() > deadline) throw new Error('the node exporter does not listen');
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
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
