/**
 * What a token says. The names are those that the database reads (docs/rights.md); `role` is the name of a role of the
 * database, as PostgREST expects it.
 */
import { z } from 'zod';

/** Roles that a token may give, by their short names. */
export const TOKEN_ROLES = {
  reader: 'kw_reader',
  writer: 'kw_writer',
  scheduler: 'kw_scheduler',
  admin: 'kw_admin',
} as const;
export type ShortRole = keyof typeof TOKEN_ROLES;

/** Longer tokens are not even looked at. Servers and proxies take headers of 8 kB in all. */
export const MAX_TOKEN_BYTES = 6_000;

const MAX_NAMES = 1_000;

/** As in the database: 255 bytes of well-formed text without control characters. */
const name = z
  .string()
  .min(1)
  .refine((text) => text.isWellFormed() && !hasControl(text) && Buffer.byteLength(text) <= 255);

function hasControl(text: string): boolean {
  return [...text].some((character) => character < ' ' || character === '\u007f');
}

const seconds = z.int().min(0);

const claims = z.object({
  /** The user. */
  sub: name,
  role: z.enum(TOKEN_ROLES),
  /** Devices that may be pushed for, and the forms `rack1-*`. */
  devices: z.array(name).max(MAX_NAMES).optional(),
  /** Metrics that may be pushed: names, and the forms `alice_*` and `alice_.*`. */
  metrics: z.array(name).max(MAX_NAMES).optional(),
  /** Where the token holds; everywhere when it is absent. */
  site: name.optional(),
  jti: name.optional(),
  /** Seconds since the epoch. */
  iat: seconds.optional(),
  nbf: seconds.optional(),
  exp: seconds,
});

export type Claims = Readonly<z.infer<typeof claims>>;

/** The claims that we know, or undefined when one is missing or not what it should be. Others are left out. */
export function parseClaims(payload: unknown): Claims | undefined {
  const { success, data } = claims.safeParse(payload);
  return success ? data : undefined;
}
