/**
 * What the commands share that run in prologs and epilogs, where every second delays a job: their --timeout,
 * and a call that never outlasts it.
 */
import type { SettingsFlags } from '../config/settings.ts';
import type { Settings } from '../config/settingsModel.ts';
import type { Deadline } from '../deadline.ts';
import type { Call } from '../remote/call.ts';

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
 * Connects to the database or the server, makes the call, disconnects. When the time is up the process ends with exit
 * code 1, whatever it was doing: reading settings, looking up a name, connecting, waiting for an answer.
 * An embedded server that is stopped stays so: it may need longer to start than a prolog has.
 *
 * @throws KwError EMBEDDED_STOPPED, NO_DATABASE, DATABASE_..., SERVER_..., those of the call
 */
export async function runBounded<Request, Result>(
  options: PrologOptions,
  call: Call<Request, Result>,
  request: Request,
): Promise<Result> {
  const { startDeadline } = await import('../deadline.ts');
  const deadline = startDeadline({
    timeoutMs: await timeoutMs(options.timeout),
    consequence: options.consequence,
    json: options.json,
  });
  try {
    const settings = await settingsInTime(options, deadline);
    return settings.url === undefined
      ? await onDatabase(settings, deadline, call, request)
      : await onServer(settings, deadline, call, request);
  } finally {
    deadline.cancel();
  }
}

async function onDatabase<Request, Result>(
  settings: Settings,
  deadline: Deadline,
  call: Call<Request, Result>,
  request: Request,
): Promise<Result> {
  // What takes time to load is loaded while a child looks at files.
  const [{ withClient }, { socketWithLookupInChild }] = await Promise.all([
    import('../database/resolve.ts'),
    import('../database/lookup.ts'),
    databaseFilesAnswer(settings, deadline),
  ]);
  if (!settings.databaseUrl) await refuseStoppedEmbedded(settings.dataFolder);
  return await withClient(settings, (client) => call.run(client, request), {
    connectTimeoutMs: deadline.remainingMs(),
    statementTimeoutMs: deadline.remainingMs(),
    socket: socketWithLookupInChild,
  });
}

async function onServer<Request, Result>(
  settings: Settings,
  deadline: Deadline,
  call: Call<Request, Result>,
  request: Request,
): Promise<Result> {
  deadline.waitsFor('kw serve');
  const [{ callServer }, { RemoteConnection }, { kwServer }, { lookupInChild }] = await Promise.all([
    import('../remote/callServer.ts'),
    import('../remote/http.ts'),
    import('../remote/server.ts'),
    import('../database/lookup.ts'),
    serverFilesAnswer(settings, deadline),
  ]);
  const server = kwServer(settings);
  deadline.waitsFor(`the server ${server.label}`);
  const connection = new RemoteConnection({
    ...server,
    lookup: lookupInChild,
    remainingMs: () => deadline.remainingMs(),
  });
  try {
    return await callServer(connection, call, request);
  } finally {
    connection.close();
  }
}

/** The settings, once their file has answered: see answeringFiles.ts. */
async function settingsInTime(options: PrologOptions, deadline: Deadline): Promise<Settings> {
  const { firstFileAnswers } = await import('./answeringFiles.ts');
  const { settingsPlaces } = await import('../config/findSettings.ts');
  const [{ loadSettings }] = await Promise.all([
    import('../config/settings.ts'),
    firstFileAnswers(deadline, settingsPlaces(options.config)),
  ]);
  return loadSettings(options);
}

/** Resolves when the files have answered that connecting to the database needs. */
async function databaseFilesAnswer(settings: Settings, deadline: Deadline): Promise<void> {
  const { filesAnswer } = await import('./answeringFiles.ts');
  await filesAnswer(deadline, settings.databaseFiles);
  const url = settings.databaseUrl;
  if (!url) return filesAnswer(deadline, [settings.dataFolder]);
  const { filesOfUrl } = await import('../database/url.ts');
  return filesAnswer(deadline, filesOfUrl(url));
}

async function serverFilesAnswer({ tokenFiles, caFile = '' }: Settings, deadline: Deadline): Promise<void> {
  const { filesAnswer } = await import('./answeringFiles.ts');
  await filesAnswer(deadline, [...tokenFiles, caFile]);
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
