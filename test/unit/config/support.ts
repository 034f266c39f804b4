/** Metric files in a temporary folder, read with drivers that only look at their URLs. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { loadMetrics, type Protocols } from '../../../src/lib/config/metrics.ts';
import { formatProblem } from '../../../src/lib/config/place.ts';
import { readSettings } from '../../../src/lib/config/settings.ts';
import type { Settings } from '../../../src/lib/config/settingsModel.ts';
import { type DeviceUrl, DeviceUrlError, type Driver } from '../../../src/lib/devices/driver.ts';

/** Its URLs are wrong where a `!` stands. */
function fakeDriver(scheme: string, more: (url: URL) => object = () => ({})): Driver {
  return {
    schemes: [scheme],
    urlForm: `${scheme}://host/`,
    parseUrl(text, context): DeviceUrl {
      const wrong = text.indexOf('!');
      if (wrong >= 0) throw new DeviceUrlError('no ! here', wrong, 'write ?');
      const [, userinfo = '', rest = ''] = /^[a-z]+:\/\/(?:(.*)@)?(.*)$/.exec(text) ?? [];
      const url = new URL(`http://${rest}`);
      const user = context.resolveSecret(userinfo) || context.credential?.user;
      return {
        scheme,
        endpointKey: `${user}@${url.host}`,
        safeUrl: `${scheme}://${url.host}${url.pathname}`,
        hostPort: url.host,
        ...more(url),
      };
    },
    open() {
      throw new Error('the configuration opens nothing');
    },
  };
}

const drivers = [
  fakeDriver('snmp', (url) => ({ oid: url.pathname })),
  fakeDriver('prometheus', (url) => ({
    origin: url.origin,
    pagePath: '/metrics',
    names: url.pathname === '/' ? undefined : url.pathname.slice(1).split('-'),
  })),
];

export const fakeProtocols: Protocols = {
  driverFor: (scheme) => drivers.find((driver) => driver.schemes.includes(scheme)),
  knownSchemes: () => drivers.flatMap((driver) => driver.schemes),
};

/** A folder with these files, gone at the end of `use`. */
export function inFolder<T>(files: Record<string, string | Uint8Array>, use: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'kw-config-'));
  try {
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), content, { mode: 0o600 });
    }
    return use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Settings of a process without environment, in `folder`. */
export function settingsOf(folder: string, env: NodeJS.ProcessEnv = {}) {
  return readSettings(
    {},
    {
      env: { HOME: join(folder, 'home'), ...env },
      cwd: folder,
      systemFolder: join(folder, 'etc'),
      uid: process.getuid?.(),
    },
  );
}

/** What `metrics.d/<name>` gives: entries, and problems as lines with the folder cut away. */
export function load(files: Record<string, string | Uint8Array> | string, overrides: Partial<Settings> = {}) {
  const named = typeof files === 'string' ? { 'm.yaml': files } : files;
  return inFolder(
    Object.fromEntries(Object.entries(named).map(([name, text]) => [`metrics.d/${name}`, text])),
    (folder) => {
      const metricsDir = join(folder, 'metrics.d');
      const settings = { ...settingsOf(folder).settings, metricsDir, ...overrides };
      const { entries, problems } = loadMetrics(settings, fakeProtocols);
      return { entries, problems: problems.map((p) => formatProblem(p).replaceAll(`${metricsDir}/`, '')) };
    },
  );
}
