/** The tokens that were issued, as the database remembers them: who, for what, until when. Never the tokens. */
import type { Client } from 'pg';
import { readSql } from '../packageRoot.ts';
import type { Claims } from './claims.ts';

export interface IssuedToken {
  readonly id: string;
  readonly user: string;
  /** Role of the database. */
  readonly role: string;
  readonly devices: readonly string[] | undefined;
  readonly metrics: readonly string[] | undefined;
  readonly site: string | undefined;
  readonly key: string;
  readonly note: string;
  readonly issuedBy: string;
  readonly issuedUs: number;
  readonly expiresUs: number;
  readonly revokedUs: number | undefined;
  readonly revokedBy: string | undefined;
}

export interface TokenRecord {
  readonly claims: Claims & { readonly jti: string; readonly iat: number };
  readonly kid: string;
  readonly note: string;
}

export async function recordToken(client: Client, { claims, kid, note }: TokenRecord): Promise<void> {
  const { jti, sub, role, devices, metrics, site, iat, exp } = claims;
  await client.query(readSql('queries/token_insert'), [
    ...[jti, sub, role, devices ?? null, metrics ?? null, site ?? null],
    ...[kid, note, iat, exp],
  ]);
}

export interface TokenSelection {
  /** Expired and revoked ones too. */
  readonly all: boolean;
  readonly user: string | undefined;
  readonly limit: number;
}

/** Those that end last first. `cut` when there are more than `limit`. */
export async function listTokens(
  client: Client,
  { all, user, limit }: TokenSelection,
): Promise<{ tokens: IssuedToken[]; cut: boolean }> {
  const { rows } = await client.query<TokenRow>(readSql('queries/token_list'), [
    all,
    user ?? null,
    limit + 1,
  ]);
  return { tokens: rows.slice(0, limit).map(tokenOfRow), cut: rows.length > limit };
}

interface TokenRow {
  readonly jti: string;
  readonly username: string;
  readonly role: string;
  readonly devices: string[] | null;
  readonly metrics: string[] | null;
  readonly site: string | null;
  readonly kid: string;
  readonly note: string;
  readonly issued_by: string;
  readonly revoked_by: string | null;
  readonly issued_us: number;
  readonly expires_us: number;
  readonly revoked_us: number | null;
}

function tokenOfRow(row: TokenRow): IssuedToken {
  return {
    id: row.jti,
    user: row.username,
    role: row.role,
    devices: row.devices ?? undefined,
    metrics: row.metrics ?? undefined,
    site: row.site ?? undefined,
    key: row.kid,
    note: row.note,
    issuedBy: row.issued_by,
    issuedUs: row.issued_us,
    expiresUs: row.expires_us,
    revokedUs: row.revoked_us ?? undefined,
    revokedBy: row.revoked_by ?? undefined,
  };
}

/** Revokes these tokens, or all of a user. Gives those that held until now. */
export async function revokeTokens(
  client: Client,
  { ids, user }: { readonly ids?: readonly string[] | undefined; readonly user?: string | undefined },
): Promise<{ id: string; user: string }[]> {
  const { rows } = await client.query<{ jti: string; username: string }>(readSql('queries/token_revoke'), [
    ids ?? null,
    user ?? null,
  ]);
  return rows.map(({ jti, username }) => ({ id: jti, user: username }));
}

/** Of these ids, those of tokens that were issued; whether they were revoked. */
export async function tokenStates(
  client: Client,
  ids: readonly string[],
): Promise<Map<string, 'revoked' | 'issued'>> {
  const { rows } = await client.query<{ jti: string; revoked: boolean }>(readSql('queries/token_states'), [
    ids,
  ]);
  return new Map(rows.map(({ jti, revoked }) => [jti, revoked ? 'revoked' : 'issued']));
}

/** How many tokens of each key hold, by its id. */
export async function keyUses(client: Client): Promise<Map<string, number>> {
  const { rows } = await client.query<{ kid: string; tokens: number }>(readSql('queries/token_key_uses'));
  return new Map(rows.map(({ kid, tokens }) => [kid, tokens]));
}

/** The name of this site, which tokens are for; undefined when it has none. */
export async function siteName(client: Client): Promise<string | undefined> {
  const { rows } = await client.query<{ site: string | null }>(readSql('queries/site_name'));
  return rows[0]?.site ?? undefined;
}
