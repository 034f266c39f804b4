/** Where the lines of a wattmeter come from: a program, a TCP connection, or standard input. One run of it. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { connect } from 'node:net';
import type { Readable } from 'node:stream';
import type { Problem, SessionContext } from '../driver.ts';
import { LineBreaker } from './lineBreaker.ts';
import type { WattmeterSource } from './url.ts';

export interface SourceEvents {
  onBytes(chunk: Buffer): void;
  /** What the program says on stderr, a line at a time; not escaped. */
  onRemark(line: string): void;
  /** It is over, because of a problem or, undefined, because the input ended. Not called after close(). */
  onEnd(problem: Problem | undefined): void;
}

/** One run of a source. */
export interface Source {
  /** Ends it, and resolves when it is gone. No event comes after the call but bytes that are on their way. */
  close(): Promise<void>;
}

/** How long a program may take to end before it is killed. */
const END_MS = 2_000;
const CONNECT_MS = 10_000;

/** What a program gets of the environment: not what kw knows about databases and tokens. */
const ENVIRONMENT = /^(PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR)$/;

export function openSource(
  source: Exclude<WattmeterSource, { kind: 'stdin' }>,
  events: SourceEvents,
  trace: SessionContext['trace'],
): Source {
  return source.kind === 'tcp' ? openTcp(source, events, trace) : openProgram(source, events, trace);
}

/**
 * Starts the program: no shell, its arguments as they are. Its standard input is a pipe that nothing is written to:
 * it closes when this process ends in whatever way, as the pipes of its output do, so a reader that looks at any of
 * them ends too.
 */
function openProgram(
  { program, args }: Extract<WattmeterSource, { kind: 'program' }>,
  events: SourceEvents,
  trace: SessionContext['trace'],
): Source {
  const environment = Object.entries(process.env).filter(([name]) => ENVIRONMENT.test(name));
  let closed = false;
  let lastWords = '';
  const end = (kind: Problem['kind'], message: string) => {
    if (closed) return;
    closed = true;
    events.onEnd({ kind, message });
  };
  let child: ChildProcessWithoutNullStreams;
  try {
    child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: Object.fromEntries(environment),
      shell: false,
    });
  } catch (error) {
    // Node tells some failures at once (no memory, arguments too long, a file where a folder should be).
    setImmediate(() => end('refused', cannotStart(program, error as NodeJS.ErrnoException)));
    return {
      async close() {
        closed = true;
      },
    };
  }
  const remarks = new LineBreaker((line) => {
    lastWords = line;
    events.onRemark(line);
  });
  // There are no pipes when the process has too many open files.
  child.stdin?.on('error', () => {});
  child.stdout?.on('error', () => {});
  child.stdout?.on('data', (chunk: Buffer) => events.onBytes(chunk));
  child.stderr?.on('error', () => {});
  child.stderr?.on('data', (chunk: Buffer) => remarks.push(chunk));
  const gone = new Promise<void>((resolve) => {
    child.on('spawn', () => trace?.({ step: 'open', text: `${program} runs as process ${child.pid}` }));
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (child.pid !== undefined) return;
      end('refused', cannotStart(program, error));
      resolve();
    });
    // All of its output was read.
    child.on('close', (code, signal) => {
      remarks.end();
      const how = signal === null ? `with exit code ${code}` : `by signal ${signal}`;
      const said = lastWords === '' ? '' : `: ${JSON.stringify(lastWords.slice(0, 200))}`;
      end('refused', `${program} ended ${how}${said}`);
      resolve();
    });
  });
  return {
    async close() {
      closed = true;
      child.stdin?.destroy();
      if (child.pid !== undefined) child.kill('SIGTERM');
      const timer = setTimeout(() => {
        child.kill('SIGKILL');
        // Something that it started may hold its output open.
        child.stdout.destroy();
        child.stderr.destroy();
      }, END_MS);
      await gone;
      clearTimeout(timer);
    },
  };
}

function cannotStart(program: string, { code, message }: NodeJS.ErrnoException): string {
  if (code === 'ENOENT') return `there is no program ${program}`;
  if (code === 'EACCES') return `${program} may not be run by this user, or is no program`;
  return `${program} cannot be started: ${message}`;
}

function openTcp(
  { host, port }: Extract<WattmeterSource, { kind: 'tcp' }>,
  events: SourceEvents,
  trace: SessionContext['trace'],
): Source {
  const socket = connect({ host: host.replace(/^\[(.*)\]$/, '$1'), port, keepAlive: true });
  let over = false;
  const end = (kind: Problem['kind'], message: string) => {
    socket.destroy();
    if (over) return;
    over = true;
    events.onEnd({ kind, message: `${host}:${port} ${message}` });
  };
  const timer = setTimeout(() => end('timeout', `does not answer for ${CONNECT_MS / 1000} s`), CONNECT_MS);
  socket.on('lookup', (_error, address) => {
    if (address) trace?.({ step: 'resolve', text: `${host} is ${address}` });
  });
  socket.on('connect', () => {
    clearTimeout(timer);
    trace?.({ step: 'open', text: `connected to ${socket.remoteAddress} tcp port ${socket.remotePort}` });
  });
  socket.on('data', (chunk: Buffer) => events.onBytes(chunk));
  socket.on('end', () => end('refused', 'ended the connection'));
  socket.on('error', (error: NodeJS.ErrnoException) => end('refused', networkProblem(error)));
  const gone = new Promise<void>((resolve) => socket.on('close', () => resolve()));
  return {
    async close() {
      over = true;
      clearTimeout(timer);
      socket.destroy();
      await gone;
    },
  };
}

function networkProblem({ code, message }: NodeJS.ErrnoException): string {
  if (code === 'ECONNREFUSED') return 'refuses the connection';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'is no known host';
  if (code === 'EHOSTUNREACH' || code === 'ENETUNREACH') return 'cannot be reached';
  if (code === 'ECONNRESET') return 'broke the connection';
  return `cannot be read: ${message}`;
}

/** Reads a stream of this process, such as standard input, to its end. */
export function openInput(input: Readable, events: SourceEvents): Source {
  const onData = (chunk: Buffer) => events.onBytes(chunk);
  const onEnd = () => finish(undefined);
  const onError = ({ message }: Error) =>
    finish({ kind: 'refused', message: `standard input cannot be read: ${message}` });
  const finish = (problem: Problem | undefined) => {
    stop();
    events.onEnd(problem);
  };
  const stop = () => {
    input.off('data', onData).off('end', onEnd).off('error', onError);
    input.on('error', () => {});
    input.pause();
  };
  input.on('data', onData).on('end', onEnd).on('error', onError);
  return {
    async close() {
      stop();
      // A terminal or a pipe that stays open would keep the process alive.
      input.destroy();
    },
  };
}
