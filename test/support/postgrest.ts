/**
 * Calls functions of the schema api as PostgREST does, since it cannot be had for CI: the same transaction, settings and
 * statements, rebuilt from the sources of PostgREST 17 (commit 4834678, August 2026):
 * src/library/PostgREST/Query/PreQuery.hs (txVarQuery), Query/QueryBuilder.hs (callPlanToQuery), Query/Statements.hs
 * (mainCall), Query/SqlFragment.hs (fromJsonBodyF, singleParameter, asJsonF), Plan.hs (findProc: which function is meant),
 * Error.hs (pgErrorStatus).
 */
import type pg from 'pg';

export interface PostgrestRequest {
  readonly method: 'GET' | 'POST';
  readonly function: string;
  /** Parameters of a GET: texts. */
  readonly query?: Readonly<Record<string, string>>;
  /** JSON text of a POST. */
  readonly body?: string;
  /** Claims of the token; without one the caller is db-anon-role. */
  readonly claims?: Readonly<Record<string, unknown>>;
}

export interface PostgrestAnswer {
  readonly status: number;
  readonly body: unknown;
}

interface Routine {
  readonly name: string;
  /** Of one unnamed argument: ''. */
  readonly parameters: readonly {
    readonly name: string;
    readonly type: string;
    readonly required: boolean;
  }[];
  readonly isScalar: boolean;
  readonly volatility: 'v' | 's' | 'i';
}

const ANON_ROLE = 'kw_anon';

/** One request over `client`, which is logged in as the authenticator (db-uri). */
export async function callPostgrest(client: pg.Client, request: PostgrestRequest): Promise<PostgrestAnswer> {
  const keys = request.method === 'GET' ? Object.keys(request.query ?? {}) : keysOfBody(request.body);
  const routine = findRoutine(await loadRoutines(client, request.function), keys, request.method === 'POST');
  if (routine === undefined) return { status: 404, body: { code: 'PGRST202' } };
  const role = String(request.claims?.role ?? ANON_ROLE);
  const readOnly = request.method === 'GET' || routine.volatility !== 'v';
  await client.query(`BEGIN ISOLATION LEVEL READ COMMITTED ${readOnly ? 'READ ONLY' : 'READ WRITE'}`);
  try {
    await client.query(
      `select set_config('search_path', $1, true), set_config('role', $2, true), set_config('request.jwt.claims', $3, true),
        set_config('request.method', $4, true), set_config('request.path', $5, true), set_config('request.headers', $6, true),
        set_config('request.cookies', $7, true)`,
      [
        '"api", "public"',
        role,
        JSON.stringify({ ...request.claims, role }),
        request.method,
        `/rpc/${request.function}`,
        '{"host":"localhost:3000","accept":"application/json"}',
        '{}',
      ],
    );
    const { sql, values } = mainCall(routine, request);
    const { rows } = await client.query({ text: sql, values });
    await client.query('COMMIT');
    return { status: 200, body: JSON.parse(rows[0].body) };
  } catch (error) {
    await client.query('ROLLBACK');
    const { code = '', message, hint, detail } = error as pg.DatabaseError;
    const body = { code, message, hint: hint ?? null, details: detail ?? null };
    return { status: statusOf(code, request.claims !== undefined), body };
  }
}

/** Error.hs, pgErrorStatus; what kw's functions raise. */
function statusOf(code: string, known: boolean): number {
  if (/^PT\d{3}$/.test(code)) return Number(code.slice(2));
  if (code === '42501') return known ? 403 : 401;
  if (code === '42883' || code === '42P01') return 404;
  if (code === 'P0001') return 400;
  if (code === '53400' || /^(25|2D|38|39|3B|40|54|55|57|58|F0|HV|P0|XX)/.test(code)) return 500;
  return code.startsWith('53') ? 503 : 400;
}

function keysOfBody(body: string | undefined): string[] {
  const parsed: unknown = JSON.parse(body ?? '{}');
  const first: unknown = Array.isArray(parsed) ? parsed[0] : parsed;
  return Object.keys((first ?? {}) as object);
}

async function loadRoutines(client: pg.Client, name: string): Promise<Routine[]> {
  const { rows } = await client.query(
    `SELECT p.provolatile AS volatility, p.pronargs, p.pronargdefaults, p.proargnames[1:p.pronargs] AS names,
       ARRAY(SELECT format_type(t, NULL) FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY AS a (t, n) ORDER BY n) AS types,
       t.typtype <> 'c' AND p.prorettype <> 'record'::regtype AS scalar
     FROM pg_proc p JOIN pg_type t ON t.oid = p.prorettype WHERE p.pronamespace = 'api'::regnamespace AND p.proname = $1`,
    [name],
  );
  return rows.map((row) => ({
    name,
    parameters: (row.types as string[]).map((type, i) => ({
      name: (row.names as string[] | null)?.[i] ?? '',
      type,
      required: i < row.pronargs - row.pronargdefaults,
    })),
    isScalar: row.scalar,
    volatility: row.volatility,
  }));
}

function findRoutine(
  routines: readonly Routine[],
  keys: readonly string[],
  isPost: boolean,
): Routine | undefined {
  const named = routines.filter(({ parameters }) => {
    const known = new Set(parameters.map(({ name }) => name));
    const required = parameters.filter((one) => one.required).map(({ name }) => name);
    return (
      (parameters.length > 0 || keys.length === 0) &&
      !parameters.some(({ name }) => name === '') &&
      keys.every((key) => known.has(key)) &&
      required.every((name) => keys.includes(name))
    );
  });
  if (named.length > 1) throw new Error('ambiguous (PGRST203)');
  const unnamed = routines.find(
    ({ parameters: [first, ...others] }) =>
      isPost && others.length === 0 && first?.name === '' && ['json', 'jsonb'].includes(first.type),
  );
  return named[0] ?? unnamed;
}

function mainCall(routine: Routine, request: PostgrestRequest): { sql: string; values: unknown[] } {
  const target = `"api"."${routine.name}"`;
  const { call, values } = callOf(routine, request, target);
  const select = routine.isScalar ? 'pgrst_call.pgrst_scalar' : '"pgrst_call".*';
  const body = routine.isScalar
    ? "coalesce(json_agg(_postgrest_t.pgrst_scalar)->0, 'null')"
    : "coalesce(json_agg(_postgrest_t), '[]')";
  return {
    sql: `WITH pgrst_source AS (SELECT ${select} FROM ${call})
      SELECT null::bigint AS total_result_set, pg_catalog.count(_postgrest_t) AS page_total, ${body}::text AS body,
        nullif(current_setting('response.headers', true), '') AS response_headers,
        nullif(current_setting('response.status', true), '') AS response_status, '' AS response_inserted
      FROM (SELECT "pgrst_source".* FROM "pgrst_source") _postgrest_t`,
    values,
  };
}

function callOf(
  { parameters, isScalar }: Routine,
  request: PostgrestRequest,
  target: string,
): { call: string; values: unknown[] } {
  const callIt = (argument: string) =>
    isScalar
      ? `(SELECT ${target}(${argument}) pgrst_scalar) pgrst_call`
      : `${target}(${argument}) pgrst_call`;
  const [first] = parameters;
  if (first?.name === '') return { call: callIt(`$1::${first.type}`), values: [request.body] };
  const keys = request.method === 'GET' ? Object.keys(request.query ?? {}) : keysOfBody(request.body);
  const given = parameters.filter(({ name }) => keys.includes(name));
  if (given.length === 0) return { call: callIt(''), values: [] };
  if (request.method === 'GET') {
    return {
      call: callIt(given.map(({ name, type }, i) => `"${name}" := $${i + 1}::${type}`).join(', ')),
      values: given.map(({ name }) => request.query?.[name]),
    };
  }
  const columns = given.map(({ name }) => `"${name}"`).join(', ');
  const typed = given.map(({ name, type }) => `"${name}" ${type}`).join(', ');
  const recordset = request.body?.trimStart().startsWith('[') ? 'json_to_recordset' : 'json_to_record';
  const args = given.map(({ name }) => `"${name}" := pgrst_body."${name}"`).join(', ');
  return {
    call: `(SELECT $1::json AS json_data) pgrst_payload,
      LATERAL (SELECT ${columns} FROM ${recordset}(pgrst_payload.json_data) AS _(${typed}) LIMIT 1) pgrst_body,
      LATERAL ${callIt(args)}`,
    values: [request.body],
  };
}
