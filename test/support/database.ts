/**
 * Databases for tests: each test file has one of its own, cloned from a migrated template in some 50 ms.
 * They lie on the server that globalSetup started (KW_TEST_POSTGRES_URL), or on KW_TEST_TIMESCALE_URL if set.
 *
 *   let db: TestDatabase;
 *   beforeAll(async () => { db = await testDatabase(); });
 *   afterAll(() => db.drop());
 */
import { createHash, randomBytes } from 'node:crypto';
import type pg from 'pg';
import { type DatabaseTarget, openClient } from '../../src/lib/database/connection.ts';
import type { Flavour } from '../../src/lib/database/flavour.ts';
import { listMigrations, migrate } from '../../src/lib/database/migrate.ts';
import { readSql } from '../../src/lib/packageRoot.ts';

export interface TestDatabase {
  readonly url: string;
  readonly target: DatabaseTarget;
  readonly flavour: Flavour;
  /** Connected as superuser. */
  readonly client: pg.Client;
  /** Ends the client and drops the database. Fails if something else is still connected: a leak. */
  drop(): Promise<void>;
}

export interface TestDatabaseOptions {
  /** `plain` also where TimescaleDB is there. */
  readonly flavour?: Flavour;
  /** Without a schema. */
  readonly empty?: boolean;
}

/** The server of the tests. */
function serverUrl(): string {
  const url = process.env.KW_TEST_TIMESCALE_URL || process.env.KW_TEST_POSTGRES_URL;
  if (!url) throw new Error('KW_TEST_POSTGRES_URL is not set: test/support/globalSetup.ts sets it');
  return url;
}

export const hasTimescale = Boolean(process.env.KW_TEST_TIMESCALE_URL);

/** The flavours that this server can have, for describe.each. */
export const testFlavours: readonly Flavour[] = hasTimescale ? ['timescaledb', 'plain'] : ['plain'];

/** `register` (such as `test`) on the wanted flavour; undefined on the other, where the test would mean nothing. */
export function onlyOn<T>(wanted: Flavour, flavour: Flavour, register: T): T | undefined {
  return flavour === wanted ? register : undefined;
}

export async function testDatabase(options: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const flavour = options.flavour ?? (hasTimescale ? 'timescaledb' : 'plain');
  const name = `kw_test_${process.pid}_${randomBytes(4).toString('hex')}`;
  await withServer(async (admin) => {
    if (options.empty) {
      await admin.query(`CREATE DATABASE ${name}`);
    } else {
      await admin.query(`CREATE DATABASE ${name} TEMPLATE ${await makeTemplate(admin, flavour)}`);
    }
  });
  const target = targetOf(name);
  const client = await openClient(target, { applicationName: 'kw test' });
  if (flavour === 'timescaledb' && !options.empty) {
    // Tests run the jobs themselves.
    await client.query('SELECT _timescaledb_functions.stop_background_workers()');
  }
  return { url: target.url, target, flavour, client, drop: () => drop(client, name) };
}

/** The database of this name on the server of the tests. */
export function targetOf(name: string, login?: { user: string; password: string }): DatabaseTarget {
  const url = new URL(serverUrl());
  url.pathname = `/${name}`;
  if (login) {
    url.username = login.user;
    url.password = login.password;
  }
  return { url: url.href, label: name, embedded: false };
}

async function withServer<T>(use: (admin: pg.Client) => Promise<T>): Promise<T> {
  const admin = await openClient({ url: serverUrl(), label: 'server of the tests', embedded: false });
  try {
    return await use(admin);
  } finally {
    await admin.end();
  }
}

/** One template a state of the migrations; it stays, so that the files of a run share it. */
async function makeTemplate(admin: pg.Client, flavour: Flavour): Promise<string> {
  const hash = createHash('sha256').update(readSql('roles')).update(readSql('roles_timescaledb'));
  for (const { checksum } of listMigrations(flavour)) hash.update(checksum);
  // Partitions are made for the days around the migration.
  const day = new Date().toISOString().slice(0, 10).replaceAll('-', '');
  const name = `kw_template_${flavour}_${day}_${hash.digest('hex').slice(0, 12)}`;
  await admin.query("SELECT pg_advisory_lock(hashtext('kw test template'))");
  try {
    const { rows } = await admin.query('SELECT datallowconn FROM pg_database WHERE datname = $1', [name]);
    if (rows[0]?.datallowconn === false) return name;
    // Connections are allowed until it is finished: a run was interrupted.
    await admin.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    await admin.query(`CREATE DATABASE ${name}`);
    const client = await openClient(targetOf(name));
    try {
      await migrate(client, { flavour });
    } finally {
      await client.end();
    }
    // Also keeps TimescaleDB's workers out, which would be in the way of CREATE DATABASE ... TEMPLATE.
    await admin.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
    await admin.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [name]);
    return name;
  } finally {
    await admin.query("SELECT pg_advisory_unlock(hashtext('kw test template'))");
  }
}

const LEAK_GRACE_MS = 2000;

async function drop(client: pg.Client, name: string): Promise<void> {
  await client.end();
  await withServer(async (admin) => {
    let leaks: string[] = [];
    const deadline = Date.now() + LEAK_GRACE_MS;
    do {
      const { rows } = await admin.query(
        `SELECT application_name || ': ' || left(query, 200) AS what FROM pg_stat_activity
         WHERE datname = $1 AND backend_type = 'client backend'`,
        [name],
      );
      leaks = rows.map((row) => String(row.what));
      if (leaks.length > 0) await new Promise((resolve) => setTimeout(resolve, 50));
    } while (leaks.length > 0 && Date.now() < deadline);
    await admin.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    if (leaks.length > 0) throw new Error(`the test left connections open:\n${leaks.join('\n')}`);
  });
}
