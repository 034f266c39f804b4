/** The password of the embedded server's superuser: random, and in a file that only its owner can read. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { KwError } from '../../errors.ts';
import { type Layout, PORT } from './layout.ts';

export interface Credentials {
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

export function newCredentials(): Credentials {
  return { user: 'postgres', password: randomBytes(24).toString('base64url'), database: 'postgres' };
}

export function readCredentials(layout: Layout): Credentials {
  try {
    return decode(JSON.parse(readFileSync(layout.credentials, 'utf8')));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EACCES') {
      throw new KwError(`the embedded database in ${layout.home} belongs to another user`, {
        code: 'EMBEDDED_FOREIGN',
        hint: 'run kw as that user, or set KW_DATA_DIR to a folder of your own',
        cause: error,
      });
    }
    throw new KwError(`the credentials of the embedded database (${layout.credentials}) cannot be read`, {
      code: 'EMBEDDED_CREDENTIALS',
      hint: code === 'ENOENT' ? `the folder ${layout.data} was not made by kw` : undefined,
      cause: error,
    });
  }
}

// By hand and not by zod: every command comes through here, and zod takes longer to load than the rest.
function decode(json: unknown): Credentials {
  const { user, password, database } = json as Record<string, unknown>;
  if (typeof user !== 'string' || typeof password !== 'string' || typeof database !== 'string') {
    throw new Error('user, password or database is missing');
  }
  return { user, password, database };
}

/** The URL for clients: PostgreSQL's own way to write a socket folder in place of the host. */
export function connectionUrl(credentials: Credentials, socketFolder: string): string {
  const { user, password, database } = credentials;
  return `postgres://${user}:${password}@${encodeURIComponent(socketFolder)}:${PORT}/${database}`;
}
