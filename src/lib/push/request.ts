/** From the arguments of `kw push` to what is to be pushed. */
import { createReadStream, fstatSync, openSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { basename } from 'node:path';
import { parseValue } from '../devices/prometheus/numbers.ts';
import { EXIT_USAGE, KwError, systemWords } from '../errors.ts';
import { labelsProblem, nameProblem } from '../limits.ts';
import type { Labels } from '../sample.ts';
import { checkTimeZone, nowUs, parseTimeUs } from '../time.ts';
import type { PushFormat } from './formats.ts';
import type { PushProgress } from './progress.ts';
import { type PushReport, pushNothing, pushRow, pushStream } from './push.ts';
import { makeRow, type PushDefaults } from './pushRow.ts';
import type { PushStore } from './store.ts';

export interface PushArguments {
  readonly metric?: string | undefined;
  readonly value?: string | undefined;
  readonly device?: string | undefined;
  readonly at?: string | undefined;
  readonly label?: readonly string[] | undefined;
  readonly file?: string | undefined;
  readonly format?: string | undefined;
  readonly allOrNothing: boolean;
  readonly timeZone: string | undefined;
  /** Values go to the disk first; without any there may still be some to send. */
  readonly spool?: boolean | undefined;
}

export interface PushRequest {
  push(store: PushStore, progress: PushProgress, interrupt: AbortSignal): Promise<PushReport>;
}

/** Checks everything that can be checked before there is a connection. @throws KwError */
export function readPushRequest(
  request: PushArguments,
  stdin: NodeJS.ReadStream = process.stdin,
): PushRequest {
  const { metric, value, file, timeZone } = request;
  if (timeZone !== undefined) checkTimeZone(timeZone);
  const now = nowUs();
  const defaults: PushDefaults = {
    timestampUs: request.at === undefined ? now : parseTimeUs(request.at, { nowUs: now, timeZone }),
    deviceId: request.device ?? shortHostName(hostname()),
    metricId: metric,
    labels: parseLabelFlags(request.label),
  };
  const problem =
    nameProblem('device', defaults.deviceId) ??
    (metric === undefined ? undefined : nameProblem('metric', metric)) ??
    labelsProblem(defaults.labels);
  if (problem !== undefined) throw new KwError(problem, { code: 'PUSH_REFUSED' });
  const options = {
    defaults,
    timeZone,
    allOrNothing: request.allOrNothing,
    done: request.spool ? ('kept' as const) : undefined,
  };

  if (value !== undefined) {
    if (file !== undefined || request.format !== undefined) {
      throw new KwError('a value and an input of values were given both', {
        code: 'USAGE',
        exit: EXIT_USAGE,
        hint: 'leave out the value, or --file and --format',
      });
    }
    const number = parseValue(value.trim());
    if (number === undefined) {
      throw new KwError(`the value ${JSON.stringify(value.slice(0, 60))} is not a number`, {
        code: 'PUSH_REFUSED',
        hint: 'write 42, -1.5, 1e-3 or NaN',
      });
    }
    const row = makeRow(0, { value: number }, defaults);
    return { push: (store, progress) => pushRow(store, row, { ...options, ...progress.listeners }) };
  }

  if (file === undefined && metric !== undefined && looksLikeFile(metric)) {
    throw new KwError(`${metric} is a file, and what stands there is the name of a metric`, {
      code: 'USAGE',
      exit: EXIT_USAGE,
      hint: `write kw push --file ${metric}; for a metric of that name: kw push --file - ${metric}`,
    });
  }
  const fromStdin = file === undefined || file === '-';
  if (file === undefined && stdin.isTTY) {
    if (request.spool && metric === undefined) return { push: (store) => pushNothing(store, options) };
    throw new KwError(metric === undefined ? 'there is nothing to push' : `there is no value for ${metric}`, {
      code: 'USAGE',
      exit: EXIT_USAGE,
      hint: 'write kw push METRIC VALUE, or give --file, or pipe values into it (--file - reads the terminal)',
    });
  }
  const source = fromStdin ? stdin : openFile(file);
  return {
    push: (store, progress, interrupt) =>
      pushStream(store, source, {
        ...options,
        ...progress.listeners,
        interrupt,
        format: request.format as PushFormat | undefined,
        fileName: fromStdin ? undefined : basename(file),
      }),
  };
}

/** `--label NAME=TEXT`, repeated. @throws KwError */
export function parseLabelFlags(flags: readonly string[] | undefined): Labels {
  const pairs = (flags ?? []).map((flag): [string, string] => {
    const equals = flag.indexOf('=');
    const name = flag.slice(0, equals);
    if (equals < 1) {
      throw new KwError(`--label ${JSON.stringify(flag.slice(0, 60))} has no name or no =`, {
        code: 'USAGE',
        exit: EXIT_USAGE,
        hint: 'write --label run=3',
      });
    }
    if (name.startsWith('_')) {
      throw new KwError(
        `the label ${JSON.stringify(name.slice(0, 60))} begins with _, and those are kw's own`,
        {
          code: 'PUSH_REFUSED',
          exit: EXIT_USAGE,
          hint: 'choose a name without _ in front',
        },
      );
    }
    return [name, flag.slice(equals + 1)];
  });
  return Object.fromEntries(pairs);
}

/** The name that jobs and collectors know a node by: up to the first dot. */
function shortHostName(name: string): string {
  return name.split('.', 1)[0] ?? name;
}

/** A file that exists and is named as hardly any metric is: `results.csv`, `out/results`. */
function looksLikeFile(name: string): boolean {
  return /[./]/.test(name) && statSync(name, { throwIfNoEntry: false })?.isFile() === true;
}

/** Opened at once, so that a missing file is told before there is a connection. */
function openFile(file: string): NodeJS.ReadableStream & AsyncIterable<Buffer> {
  try {
    const fd = openSync(file, 'r');
    if (fstatSync(fd).isDirectory()) throw new Error('it is a folder');
    return createReadStream(file, { fd });
  } catch (error) {
    const said = error instanceof Error ? systemWords(error) : String(error);
    throw new KwError(`cannot read ${file}: ${said}`, { code: 'PUSH_FILE' });
  }
}
