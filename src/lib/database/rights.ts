/** What users see, and who calls the HTTP API: settings in the database, which everything obeys (docs/rights.md). */
import { readSql } from '../packageRoot.ts';
import type { SqlClient } from './flavour.ts';

export type ReadScope = 'all' | 'own_jobs';

export interface Rights {
  /** What users see: everything, or the nodes of their own jobs while they had them. */
  readonly readScope: ReadScope;
  /** Whether the HTTP API shows metrics to callers who do not say who they are. */
  readonly anonymousRead: boolean;
  /** Name of the site; null is none. */
  readonly site: string | null;
  /** The login that is believed who its callers are. */
  readonly apiLogin: string;
  /** Views and rights that are not as these say; kw db migrate mends them. */
  readonly problems: readonly string[];
}

export async function readRights(client: SqlClient): Promise<Rights> {
  const { rows } = await client.query(readSql('queries/rights_read'));
  const row = rows[0] as {
    read_scope: ReadScope;
    anonymous_read: boolean;
    site: string | null;
    api_login: string;
    problems: string[];
  };
  return {
    readScope: row.read_scope,
    anonymousRead: row.anonymous_read,
    site: row.site,
    apiLogin: row.api_login,
    problems: row.problems,
  };
}

/** Changes what is given. Needs kw_admin. Waits 5 s at most for those who read at this moment. */
export async function writeRights(
  client: SqlClient,
  changes: Partial<Pick<Rights, 'readScope' | 'anonymousRead' | 'site'>>,
): Promise<void> {
  const { readScope, anonymousRead, site } = changes;
  const values = Object.entries({ read_scope: readScope, anonymous_read: anonymousRead, site }).filter(
    ([, value]) => value !== undefined,
  );
  await client.query(readSql('queries/rights_write'), [
    values.map(([name]) => name),
    values.map(([, value]) => JSON.stringify(value)),
  ]);
}

/** For people. */
export function rightsText({ readScope, anonymousRead, site, problems }: Rights): string {
  return [
    `users see ${readScope === 'all' ? 'everything' : 'the nodes of their own jobs, while they had them'}`,
    `callers of the HTTP API who do not say who they are see ${anonymousRead ? 'what is shown to users' : 'nothing'}`,
    site === null ? 'the site has no name: tokens hold for every site' : `tokens are for the site ${site}`,
    ...problems.map((problem) => `not so yet: ${problem}; kw db migrate mends it`),
  ].join('\n');
}
