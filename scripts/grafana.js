/**
 * Puts the statements of sql/grafana/ into the dashboards: each statement begins with a comment that names its file.
 *
 *   node scripts/grafana.js && npx biome format --write grafana     after a change of sql/grafana/
 *
 * A new panel: "rawSql": "-- sql/grafana/NAME.sql", and this script.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'grafana', 'dashboards');

for (const file of readdirSync(folder)) {
  const dashboard = JSON.parse(readFileSync(join(folder, file), 'utf8'), (key, value) => {
    const [, path] = (typeof value === 'string' && /^-- (sql\/grafana\/\w+\.sql)/.exec(value)) || [];
    return path && ['rawSql', 'query'].includes(key) ? readFileSync(join(root, path), 'utf8') : value;
  });
  writeFileSync(join(folder, file), `${JSON.stringify(dashboard, null, 2)}\n`);
}
