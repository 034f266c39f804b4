/**
 * Logs of the daemons: to stderr, since stdout is for data; readable on a terminal, JSON lines elsewhere.
 * Messages name devices by their safe URL; should a secret come near the log all the same, its field is redacted.
 */
import { type DestinationStream, type Logger, type LoggerOptions as PinoOptions, pino } from 'pino';
import { printableLines } from './printable.ts';

export type { Logger } from 'pino';

const SECRET_FIELDS = [
  'password',
  'community',
  'token',
  'key',
  'authKey',
  'privKey',
  'authorization',
  'url',
  'databaseUrl',
  'endpointKey',
];

export interface LoggerOptions {
  /** trace, debug, info, warn, error, fatal or silent. */
  readonly level: string;
  /** Where lines go; stderr unless told. */
  readonly destination?: DestinationStream;
}

export async function makeLogger({ level, destination }: LoggerOptions): Promise<Logger> {
  const options: PinoOptions = {
    level,
    base: null,
    // Messages and fields quote devices, files and databases; readable logs go to a terminal as they are.
    hooks: {
      logMethod(values, method) {
        method.apply(this, values.map(safe) as typeof values);
      },
    },
    formatters: {
      log: (fields) => Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, safe(value)])),
    },
    redact: { paths: SECRET_FIELDS.flatMap((field) => [field, `*.${field}`]), censor: '***' },
  };
  if (destination) return pino(options, destination);
  if (process.stderr.isTTY) {
    const { default: pretty } = await import('pino-pretty');
    const stream = pretty({
      destination: 2,
      sync: true,
      ignore: 'pid,hostname',
      singleLine: true,
      translateTime: 'SYS:HH:MM:ss.l',
    });
    return pino(options, stream);
  }
  return pino(options, pino.destination({ dest: 2, sync: true }));
}

function safe(value: unknown): unknown {
  return typeof value === 'string' ? printableLines(value) : value;
}
