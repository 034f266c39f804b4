/**
 * What the writer does about an error of the database: one table instead of catch blocks all over.
 * Codes: PostgreSQL documentation, appendix A; an entry of two characters stands for its whole class.
 */

/**
 * `data`: the rows are to blame, and trying again is no use: the ones to blame are found and set aside.
 * A number: the rows are not to blame; try again on a new connection after that many milliseconds.
 */
export type Remedy = 'data' | number;

const REMEDIES: Readonly<Record<string, Remedy>> = {
  '22': 'data', // data exception
  '23': 'data', // a constraint, or no partition for the row
  '54': 'data', // program limit exceeded: an index row that is too large
  P0001: 'data', // a trigger of the site raised an exception
  '40': 100, // serialization failure, deadlock
  '55P03': 500, // lock not available
  '57': 500, // cancelled; the server shuts down or starts; somebody ended the connection
  '08': 500, // connection failure
  '53300': 2_000, // too many connections
  '53': 5_000, // disk or memory full
  '42501': 10_000, // rights are missing: an administrator must act
  '42P01': 10_000, // the table is missing: a migration must be run
  '25006': 5_000, // read-only: a standby, or a server that is being switched over
};

/** Errors of the network, and everything else that has no code of PostgreSQL. */
const CONNECTION_LOST_MS = 500;
/** What the table does not know: the server may be in trouble, so it is left in peace for longer. */
const UNKNOWN_MS = 5_000;

export function remedyFor(error: unknown): Remedy {
  const code = sqlState(error);
  if (code === undefined) return CONNECTION_LOST_MS;
  return REMEDIES[code] ?? REMEDIES[code.slice(0, 2)] ?? UNKNOWN_MS;
}

/** The five characters of an SQLSTATE, of the error or of its cause; errors of sockets have codes such as EPIPE. */
function sqlState(error: unknown): string | undefined {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    const code = 'code' in cause ? cause.code : undefined;
    if (typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && code !== 'EPIPE') return code;
  }
  return undefined;
}
