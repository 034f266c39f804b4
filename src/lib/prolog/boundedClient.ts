/**
 * What the commands share that run in prologs and epilogs, where every second delays a job: their --timeout,
 * and a connection that never outlasts it.
 */
import type { Client } from 'pg';
import type { SettingsFlags } from '../config/settings.ts';

/** Without a terminal: longer than that, and people who wait for their job ask why. */
const UNATTENDED_TIMEOUT_MS = 1_000;
const TERMINAL_TIMEOUT_MS = 10_000;

export interface PrologOptions extends SettingsFlags {
  /** The value of --timeout. */
  readonly timeout?: string | undefined;
  /** What it means for the user if the time is up, such as `nothing was enabled`. */
  readonly consequence: string;
  /** Whether errors are JSON on stdout. */
  readonly json: boolean;
}

/**
 * Connects, runs `use`, disconnects. When the time is up the process ends with exit code 1, whatever it was
 * doing: reading settings, looking up a name, connecting, waiting for an answer.
 * An embedded server that is stopped stays so: it may need longer to start than a prolog has.
 *
 * @throws KwError EMBEDDED_STOPPED, NO_DATABASE, DATABASE_...
 */
export async function withBoundedClient<T>(
  options: PrologOptions,
  use: (client: Client) => Promise<T>,
): Promise<T> {
  const { startDeadline } = await import('../deadline.ts');
  const deadline = startDeadline({
    timeoutMs: await timeoutMs(options.timeout),
    consequence: options.consequence,
    json: options.json,
  });
  try {
    const { loadSettings } = await import('../config/settings.ts');
    const settings = loadSettings(options);
    if (!settings.databaseUrl) await refuseStoppedEmbedded(settings.dataFolder);
    const { withClient } = await import('../database/resolve.ts');
    const { socketWithLookupInChild } = await import('../database/lookup.ts');
    return await withClient(settings, use, {
      connectTimeoutMs: deadline.remainingMs(),
      statementTimeoutMs: deadline.remainingMs(),
      socket: socketWithLookupInChild,
    });
  } finally {
    deadline.cancel();
  }
}

async function timeoutMs(text: string | undefined): Promise<number> {
  if (text === undefined) return process.stderr.isTTY ? TERMINAL_TIMEOUT_MS : UNATTENDED_TIMEOUT_MS;
  const { parseDurationMs } = await import('../time.ts');
  const ms = parseDurationMs(text);
  if (ms > 0 && ms <= 86_400_000) return ms;
  const { KwError } = await import('../errors.ts');
  throw new KwError('--timeout must be between 1ms and 1d', { code: 'BAD_DURATION' });
}

async function refuseStoppedEmbedded(dataFolder: string): Promise<void> {
  const { embeddedStatus } = await import('../database/embedded/server.ts');
  const { exists, running } = embeddedStatus(dataFolder);
  if (!exists || running) return;
  const { KwError } = await import('../errors.ts');
  throw new KwError('the embedded database is not running', {
    code: 'EMBEDDED_STOPPED',
    hint: 'start it with kw db start, or set KW_DATABASE_URL',
  });
}
