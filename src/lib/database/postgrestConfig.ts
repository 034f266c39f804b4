/**
 * A configuration of PostgREST for the schema api: for sites that prefer it to kw serve. Names of its settings are those
 * of its documentation, "Configuration" (12 and later).
 */
import { withHost } from './url.ts';

export interface PostgrestOptions {
  /** URL of the database, as kw uses it. Its login and password are left out. */
  readonly databaseUrl: string;
  /** The login of the HTTP API. */
  readonly apiLogin: string;
  /** What verifies tokens: a file with a JSON Web Key Set. */
  readonly jwksFile: string;
  readonly host: string;
  readonly port: number;
}

/** The text of the file. Holds no secret. */
export function postgrestConfig({ databaseUrl, apiLogin, jwksFile, host, port }: PostgrestOptions): string {
  return `# PostgREST on the functions of kw (schema api). Made by kw db postgrest-config.
#
# Once, in the database, as kw_admin or a superuser:
#   ALTER ROLE ${quoteName(apiLogin)} PASSWORD '...';        and the same into ~/.pgpass of the user that runs PostgREST
#   ALTER ROLE ${quoteName(apiLogin)} SET TimeZone = 'Europe/Paris';   for times without an offset; answers have it too
#   ALTER ROLE kw_reader SET statement_timeout = '5min';   and so for kw_writer and kw_anon: PostgREST applies them
# Keys of tokens, again after each kw token key:
#   kw token key export > ${jwksFile}   (mode 0600: for HS256 it is the secret)

db-uri = ${quote(withLogin(databaseUrl, apiLogin))}
db-schemas = "api"
db-anon-role = "kw_anon"
# Refuses tokens that were revoked and those of other sites: PostgREST itself looks at signature and times only.
db-pre-request = "kw.check_token"

jwt-secret = ${quote(`@${jwksFile}`)}
jwt-role-claim-key = ".role"

server-host = ${quote(host)}
server-port = ${port}
`;
}

function withLogin(databaseUrl: string, login: string): string {
  const url = new URL(withHost(databaseUrl));
  url.username = login;
  url.password = '';
  url.searchParams.delete('password');
  url.searchParams.delete('user');
  return url.href;
}

/** A text of the configuration: in double quotes, and `$` twice, which else begins a reference. */
function quote(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&').replaceAll('$', '$$$$')}"`;
}

function quoteName(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}
