/**
 * TLS of `kw serve`, version 1.2 or later. Certificate and key are read again when their files change and on SIGHUP: new
 * connections get the new ones, those that are open go on. What cannot be used is told, and the old ones stay.
 */
import { readFileSync, statSync } from 'node:fs';
import { createSecureContext, type SecureContextOptions, type Server } from 'node:tls';
import type { ServerAccess } from '../../config/settingsModel.ts';
import { KwError, systemWords } from '../../errors.ts';
import type { Logger } from '../../logger.ts';

type TlsFiles = NonNullable<ServerAccess['tls']>;

const LOOK_EVERY_MS = 1_000;

/**
 * Options for a server, from files that were seen to belong together.
 * @throws KwError TLS_UNREADABLE, TLS_INVALID
 */
export function readTls(files: TlsFiles): SecureContextOptions {
  const options: SecureContextOptions = {
    cert: readPem(files.certificateFile),
    key: readPem(files.keyFile),
    minVersion: 'TLSv1.2',
  };
  try {
    createSecureContext(options);
  } catch (error) {
    throw new KwError(
      `the certificate ${files.certificateFile} and the key ${files.keyFile} cannot be used`,
      {
        code: 'TLS_INVALID',
        hint: 'both must be PEM files that belong together, the key without a passphrase',
        cause: error,
      },
    );
  }
  return options;
}

function readPem(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new KwError(`cannot read ${path}: ${systemWords(error as Error)}`, {
      code: 'TLS_UNREADABLE',
      hint: 'server.tls in kw.yaml names it; the user of kw serve must be able to read it',
      cause: error,
    });
  }
}

export interface TlsWatch {
  /** Reads the files now, whether they changed or not. */
  reload(): void;
  stop(): void;
}

/** Keeps the server's certificate that of the files. */
export function watchTls(server: Pick<Server, 'setSecureContext'>, files: TlsFiles, log: Logger): TlsWatch {
  let seen = look(files);
  const reload = () => {
    seen = look(files);
    try {
      server.setSecureContext(readTls(files));
      log.info({ certificate: files.certificateFile }, 'read the certificate again');
    } catch (error) {
      if (!(error instanceof KwError)) throw error;
      // Between the two files of a renewal this is how it looks; the next change is looked at again.
      log.warn({ hint: error.hint }, `${error.message}; the certificate before stays`);
    }
  };
  // Not fs.watch: renewals exchange links and whole folders.
  const timer = setInterval(() => {
    if (look(files) !== seen) reload();
  }, LOOK_EVERY_MS).unref();
  return { reload, stop: () => clearInterval(timer) };
}

function look({ certificateFile, keyFile }: TlsFiles): string {
  return [certificateFile, keyFile]
    .map((path) => {
      const stat = statSync(path, { throwIfNoEntry: false });
      return stat === undefined ? '-' : [stat.ino, stat.size, stat.mtimeMs].join(' ');
    })
    .join('\n');
}
