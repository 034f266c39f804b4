/** Where kw is installed: the folder with package.json, sql/ and examples/. The same for sources and bundle. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

let root: string | undefined;

export function packageRoot(): string {
  if (root !== undefined) return root;
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error('kw cannot find its own package.json');
    folder = parent;
  }
  root = folder;
  return folder;
}

const statements = new Map<string, string>();

/** The text of `sql/<name>.sql`, such as `readSql('queries/job_list')`: read once, since servers ask at every request. */
export function readSql(name: string): string {
  let text = statements.get(name);
  if (text === undefined) {
    text = readFileSync(join(packageRoot(), 'sql', `${name}.sql`), 'utf8');
    statements.set(name, text);
  }
  return text;
}

/** Reads every statement now: for a process that is to live on while another version of kw is installed in its place. */
export function readAllSql(): void {
  for (const file of readdirSync(join(packageRoot(), 'sql', 'queries'))) {
    if (file.endsWith('.sql')) readSql(`queries/${file.slice(0, -'.sql'.length)}`);
  }
}
