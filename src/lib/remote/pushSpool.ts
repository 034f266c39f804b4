/** `kw push --spool` and `kw spool drain`, put together: the spool of this user, and where its values go. */
import type { Settings } from '../config/settingsModel.ts';
import type { PushProgress } from '../push/progress.ts';
import { MAX_LISTED, type PushReport } from '../push/push.ts';
import type { PushRequest } from '../push/request.ts';
import type { SpoolOutcome, SpoolUse } from '../push/spooledPush.ts';
import { connectSpoolSink, spoolTarget } from './spoolSink.ts';

/** What an interrupted push still takes to send what waits. */
const FAREWELL_MS = 5_000;

/**
 * Puts the values of a request into the spool and sends them, and what waits there, as far as it goes.
 * @throws KwError when values cannot be kept: NO_DATABASE, PUSH_SPOOL_FOLDER, PUSH_SPOOL_FULL, SPOOL_DISK; PUSH_STOPPED
 */
export async function pushThroughSpool(
  settings: Settings,
  request: PushRequest,
  progress: PushProgress,
  interrupt: AbortSignal,
): Promise<PushReport> {
  const { SpooledPush } = await import('../push/spooledPush.ts');
  const refusals: PushReport['refusals'][number][] = [];
  const spool = await SpooledPush.begin({
    ...(await spoolUse(settings, progress)),
    onRefusal: (refusal) => {
      if (refusals.length < MAX_LISTED) refusals.push(refusal);
      progress.listeners.onRefusal(refusal);
    },
  });
  let kept: PushReport;
  try {
    kept = await request.push(spool, progress, interrupt);
  } catch (error) {
    progress.outcome(await spool.end(FAREWELL_MS));
    throw error;
  }
  const outcome = await spool.end();
  progress.setAside(outcome.setAsideIn);
  return {
    stored: outcome.stored,
    spooled: outcome.waiting,
    refused: kept.refused + outcome.refused,
    refusals: [...kept.refusals, ...refusals].slice(0, MAX_LISTED).toSorted((a, b) => a.line - b.line),
    removedLabels: kept.removedLabels,
  };
}

/** Sends what waits in the push spool of this user for the database or server of the settings. */
export async function drainPushSpool(settings: Settings, progress: PushProgress): Promise<SpoolOutcome> {
  const { drainSpool } = await import('../push/spooledPush.ts');
  return await drainSpool({
    ...(await spoolUse(settings, progress)),
    ...progress.listeners,
    onStored: (stored) => progress.stored(stored),
  });
}

async function spoolUse(settings: Settings, progress: PushProgress): Promise<SpoolUse> {
  return {
    dataFolder: settings.dataFolder,
    maxBytes: settings.pushSpool.maxBytes,
    target: await spoolTarget(settings),
    connect: () => connectSpoolSink(settings),
    onNote: (note) => progress.note(note),
    onAway: (error) => progress.away(error),
  };
}
