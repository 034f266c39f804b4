/**
 * What routes have: connections, settings, the log, and `withCaller`, which runs statements as who sent the request.
 *
 *   request --authentication--> request.caller --withCaller--> BEGIN; SET LOCAL ROLE; claims; statements; COMMIT
 *
 * The database decides by role and claims what is seen and written. When the client goes away, the statement that
 * runs for it is cancelled in the server.
 */
import type { FastifyRequest } from 'fastify';
import { type Client, escapeLiteral } from 'pg';
import type { Settings } from '../config/settingsModel.ts';
import { cancelQuery } from '../database/copyOut.ts';
import type { Logger } from '../logger.ts';
import type { BigReads } from './bigReads.ts';
import { CALLER_ROLES, type Caller, holderOf } from './caller.ts';
import type { ClientPool } from './clientPool.ts';
import { CLIENT_GONE } from './problem.ts';

export interface CallOptions {
  /** One snapshot, in which nothing can be written. */
  readonly readOnly?: boolean;
  /** Bound on each statement; that of the settings unless told. */
  readonly statementTimeoutMs?: number;
}

/** As whom statements run, and whose turn at the connections it is: see holderOf(). */
export interface HeldCaller {
  readonly caller: Caller;
  readonly holder: string;
}

export function heldCaller(request: FastifyRequest): HeldCaller {
  return { caller: request.caller, holder: holderOf(request) };
}

export interface ServerContext {
  readonly pool: ClientPool;
  readonly bigReads: BigReads;
  readonly settings: Settings;
  readonly log: Logger;
  /** Of kw. */
  readonly version: string;
  /**
   * Runs `use` in a transaction as the caller of the request; commits when it resolves.
   * @throws HttpProblem 503 and 429 without a free connection, CLIENT_GONE; what `use` throws
   */
  withCaller<T>(
    request: FastifyRequest,
    use: (client: Client) => Promise<T>,
    options?: CallOptions,
  ): Promise<T>;
  /** As withCaller, for work that belongs to no single request: `gone` ends it. */
  asCaller<T>(
    caller: HeldCaller,
    gone: AbortSignal,
    use: (client: Client) => Promise<T>,
    options?: CallOptions,
  ): Promise<T>;
}

type Parts = Omit<ServerContext, 'withCaller' | 'asCaller'>;

export function makeContext(parts: Parts): ServerContext {
  return {
    ...parts,
    withCaller: (request, use, options = {}) => runForRequest(parts, request, use, options),
    asCaller: (held, gone, use, options = {}) => runAsCaller(parts, held, gone, use, options),
  };
}

async function runForRequest<T>(
  parts: Parts,
  request: FastifyRequest,
  use: (client: Client) => Promise<T>,
  options: CallOptions,
): Promise<T> {
  const { socket } = request.raw;
  const gone = new AbortController();
  const onClose = () => gone.abort();
  if (socket.destroyed) gone.abort();
  socket.once('close', onClose);
  try {
    return await runAsCaller(parts, heldCaller(request), gone.signal, use, options);
  } finally {
    socket.removeListener('close', onClose);
  }
}

async function runAsCaller<T>(
  { pool, settings }: Parts,
  { caller, holder }: HeldCaller,
  gone: AbortSignal,
  use: (client: Client) => Promise<T>,
  { readOnly = false, statementTimeoutMs = settings.server.statementTimeoutMs }: CallOptions,
): Promise<T> {
  const client = await pool.acquire(holder);
  let reuse = true;
  const onGone = () => void cancelQuery(client).catch(() => undefined);
  gone.addEventListener('abort', onGone, { once: true });
  try {
    if (gone.aborted) throw CLIENT_GONE;
    await client.query(begin(caller, { readOnly, statementTimeoutMs }));
    const result = await use(client);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    // A cancel that is on its way would hit what this connection does next.
    if (!gone.aborted) {
      await client.query('ROLLBACK').catch(() => {
        reuse = false;
      });
    }
    throw gone.aborted ? CLIENT_GONE : error;
  } finally {
    gone.removeEventListener('abort', onGone);
    pool.release(client, { reuse: reuse && !gone.aborted });
  }
}

/** One round trip. The role is one of ours; claims are a literal. */
function begin(caller: Caller, { readOnly, statementTimeoutMs }: Required<CallOptions>): string {
  if (!CALLER_ROLES.includes(caller.role)) throw new Error(`no role ${caller.role}`);
  return [
    readOnly ? 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY' : 'BEGIN',
    `SET LOCAL ROLE ${caller.role}`,
    `SET LOCAL statement_timeout = ${Math.ceil(statementTimeoutMs)}`,
    `SELECT pg_catalog.set_config('request.jwt.claims', ${escapeLiteral(JSON.stringify(caller.claims))}, true)`,
  ].join(';');
}
