/** Who sends a request: what authentication finds out, and what the database is told. */
import type { FastifyRequest } from 'fastify';

/** The roles of the database that a caller may be; each request takes one of them. */
export const CALLER_ROLES = ['kw_anon', 'kw_reader', 'kw_writer', 'kw_scheduler', 'kw_admin'] as const;
export type CallerRole = (typeof CALLER_ROLES)[number];

export interface Caller {
  /** Undefined: nobody said who they are. */
  readonly user?: string | undefined;
  readonly role: CallerRole;
  /** Given to the database as they are: it decides by them what may be seen and written. */
  readonly claims: Readonly<Record<string, unknown>>;
}

export const ANONYMOUS: Caller = { role: 'kw_anon', claims: { role: 'kw_anon' } };

/** By whom requests are counted and take turns: the user, or the address where nobody says who they are. */
export function holderOf({ caller, ip }: Pick<FastifyRequest, 'caller' | 'ip'>): string {
  return caller.user === undefined ? `address ${ip}` : `user ${caller.user}`;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by authentication, before any handler runs. */
    caller: Caller;
  }
}
