/**
 * Functions, views, indexes and triggers that are not as migrations made them: dropped by hand, changed in a
 * session of despair, lost in a restore. kw db doctor tells, kw db migrate restores.
 */
import { readSql } from '../packageRoot.ts';
import type { SqlClient } from './flavour.ts';

interface SchemaObject {
  readonly kind: 'function' | 'view' | 'index' | 'trigger';
  readonly name: string;
  /** A statement that makes it. */
  readonly definition: string;
  /** Roles that may execute or read it; PUBLIC is ''. */
  readonly grantedTo: readonly string[];
}

export interface Drift {
  readonly expected: SchemaObject;
  readonly problem: 'missing' | 'changed' | 'granted to others';
}

/** What differs from the last migration. Empty for a schema of before this record. */
export async function findDrift(client: SqlClient): Promise<Drift[]> {
  const expected = await readExpected(client);
  if (expected.length === 0) return [];
  const actual = new Map((await readActual(client)).map((one) => [`${one.kind} ${one.name}`, one]));
  return expected.flatMap((one): Drift[] => {
    const found = actual.get(`${one.kind} ${one.name}`);
    if (!found) return [{ expected: one, problem: 'missing' }];
    if (found.definition !== one.definition) return [{ expected: one, problem: 'changed' }];
    if (found.grantedTo.join() !== one.grantedTo.join())
      return [{ expected: one, problem: 'granted to others' }];
    return [];
  });
}

/** Restores what differs. In the caller's transaction, as kw_owner. */
export async function mendDrift(client: SqlClient, drift: readonly Drift[]): Promise<void> {
  // Views and indexes may use the functions.
  const order = ['function', 'view', 'index', 'trigger'];
  const sorted = [...drift].sort((a, b) => order.indexOf(a.expected.kind) - order.indexOf(b.expected.kind));
  for (const { expected, problem } of sorted) {
    const { kind, name, definition } = expected;
    if (problem !== 'granted to others') {
      if (problem === 'changed' && kind === 'index') await client.query(`DROP INDEX ${name}`);
      if (problem === 'changed' && kind === 'trigger') {
        await client.query(`DROP TRIGGER ${name.replace(' on ', ' ON ')}`);
      }
      await client.query(definition);
    }
    if (kind === 'function' || kind === 'view') await restoreGrants(client, expected);
  }
}

async function restoreGrants(client: SqlClient, { kind, name, grantedTo }: SchemaObject): Promise<void> {
  const [privilege, object] = kind === 'view' ? ['SELECT', name] : ['EXECUTE', `ROUTINE ${name}`];
  const actual = (await readActual(client)).find((one) => one.kind === kind && one.name === name);
  for (const role of actual?.grantedTo ?? []) {
    if (!grantedTo.includes(role))
      await client.query(`REVOKE ${privilege} ON ${object} FROM ${quoteRole(role)}`);
  }
  for (const role of grantedTo) await client.query(`GRANT ${privilege} ON ${object} TO ${quoteRole(role)}`);
}

function quoteRole(role: string): string {
  return role === '' ? 'PUBLIC' : `"${role.replaceAll('"', '""')}"`;
}

/** Takes the present state as the expected one: after migrations. In the caller's transaction, as kw_owner. */
export async function recordObjects(client: SqlClient): Promise<void> {
  if (!(await hasRecord(client))) return;
  await client.query('DELETE FROM kw.expected_objects');
  await client.query(
    `INSERT INTO kw.expected_objects (kind, name, definition, granted_to) ${readSql('queries/objects_list')}`,
  );
}

async function readExpected(client: SqlClient): Promise<SchemaObject[]> {
  if (!(await hasRecord(client))) return [];
  const { rows } = await client.query('SELECT kind, name, definition, granted_to FROM kw.expected_objects');
  return rows.map(decode);
}

async function readActual(client: SqlClient): Promise<SchemaObject[]> {
  // PostgreSQL prints names with their schema only where the search path does not lead to it.
  const { rows } = await client.query("SELECT current_setting('search_path') AS path");
  await client.query("SELECT set_config('search_path', 'pg_catalog', false)");
  try {
    return (await client.query(readSql('queries/objects_list'))).rows.map(decode);
  } finally {
    await client.query("SELECT set_config('search_path', $1, false)", [rows[0]?.path]);
  }
}

function decode(row: Record<string, unknown>): SchemaObject {
  return {
    kind: row.kind as SchemaObject['kind'],
    name: row.name as string,
    definition: row.definition as string,
    grantedTo: row.granted_to as string[],
  };
}

async function hasRecord(client: SqlClient): Promise<boolean> {
  const { rows } = await client.query("SELECT to_regclass('kw.expected_objects') IS NOT NULL AS exists");
  return rows[0]?.exists === true;
}

/** Views and rights that are not as the settings `read_scope` and `anonymous_read` say: one sentence each. */
export async function findRightsProblems(client: SqlClient): Promise<string[]> {
  if (!(await hasScopes(client))) return [];
  const { rows } = await client.query('SELECT problem FROM kw.rights_problems() AS problem');
  return rows.map((row) => String(row.problem));
}

/** Makes them so. In the caller's transaction, as kw_owner. */
export async function applyRights(client: SqlClient): Promise<void> {
  if (await hasScopes(client)) await client.query('SELECT kw.apply_rights()');
}

async function hasScopes(client: SqlClient): Promise<boolean> {
  const { rows } = await client.query("SELECT to_regproc('kw.rights_problems') IS NOT NULL AS exists");
  return rows[0]?.exists === true;
}
