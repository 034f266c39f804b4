/** Tokens that were issued, as a table for people. */
import { listing } from '../output/listing.ts';
import { formatLocal, localTimeZone, nowUs } from '../time.ts';
import type { IssuedToken } from './store.ts';

export function tokenTable(
  tokens: readonly IssuedToken[],
  timeZone: string = localTimeZone(),
  width?: number | undefined,
): string {
  const now = nowUs();
  const rows = tokens.map((token) => [
    token.id,
    token.user,
    token.role.replace(/^kw_/, ''),
    state(token, now),
    formatLocal(token.expiresUs, timeZone, 0),
    token.key,
    rights(token),
    token.note,
  ]);
  return listing(['TOKEN', 'USER', 'ROLE', 'STATE', 'UNTIL', 'KEY', 'MAY PUSH', 'NOTE'], rows, width);
}

function state({ revokedUs, expiresUs }: IssuedToken, now: number): string {
  if (revokedUs !== undefined) return 'revoked';
  return expiresUs <= now ? 'ended' : 'holds';
}

function rights({ role, devices, metrics }: IssuedToken): string {
  if (role === 'kw_reader') return '-';
  return `${devices?.join(',') ?? 'own jobs'}${metrics === undefined ? '' : `: ${metrics.join(',')}`}`;
}
