/**
 * The page at `/` in Chromium, on a real server with two meters of 50 values a second: what a user does, and what is drawn
 * and said. Pictures of it are in tmp/screenshots, to be looked at.
 */
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { packageRoot } from '../../../src/lib/packageRoot.ts';
import { formatUtc } from '../../../src/lib/time.ts';
import { Chromium, type Page } from '../../support/chromium.ts';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import { as, type TestServer, testServer } from '../../support/server.ts';
import { hasProgram, skipUnless } from '../../support/skip.ts';
import { fillMeters, HOSTILE, PEAK_S, TRACE_S } from './meters.ts';

const screenshots = join(packageRoot(), 'tmp', 'screenshots');
const headers = as('alice', 'kw_reader');

describe.skipIf(skipUnless('chromium', hasProgram('chromium')))('the page', () => {
  let db: TestDatabase;
  let server: TestServer;
  let chromium: Chromium;
  let page: Page;
  /** 3 hours ago. */
  const beginS = Math.floor(Date.now() / 300e3) * 300 - 3 * 3600;
  const iso = (second: number) => `${formatUtc((beginS + second) * 1e6).slice(0, 19)}Z`;

  beforeAll(async () => {
    db = await testDatabase();
    server = await testServer(db);
    [chromium] = await Promise.all([Chromium.start(), fillMeters(db, beginS)]);
    page = await chromium.page({ width: 1280, height: 800, headers });
  });
  afterEach(() => expect(page.problems).toEqual([]));
  afterAll(async () => {
    await chromium?.close();
    await server?.close();
    await db?.drop();
  });

  /** Cells of the legend, a row each: device, metric, minimum, mean, maximum, values. */
  async function legend(of: Page = page): Promise<string[][]> {
    const rows = await of.evaluate<string[][]>(
      "[...document.querySelectorAll('#legend tr')].map((row) => [...row.cells].map((cell) => cell.innerText))",
    );
    return rows.map(([, device = '', metric = '', , ...figures]) => [
      device,
      metric,
      ...figures.map((text) => text.replaceAll('\u202f', '')),
    ]);
  }

  async function hash(of: Page = page): Promise<URLSearchParams> {
    return new URLSearchParams((await of.evaluate<string>('location.hash')).slice(1));
  }

  const wait = (expression: string, what?: string) => page.waitFor(expression, what);
  const statusHas = (text: string) =>
    wait(`document.querySelector('#status').innerText.includes(${JSON.stringify(text)})`, `status ${text}`);

  test('draws the two meters of a job that was picked by keyboard, with the peak of one reading', async () => {
    await page.open(`${server.url}/`);
    await page.screenshot(join(screenshots, 'empty-1280-light.png'));
    await page.click('#job');
    await page.type('1234');
    await wait("document.querySelectorAll('#job-list [role=option]').length === 1");
    await page.key('ArrowDown');
    expect(await page.evaluate("document.querySelector('#job').getAttribute('aria-activedescendant')")).toBe(
      'job-list-0',
    );
    await page.key('Enter');
    await wait("document.querySelectorAll('#device-chosen .chip').length === 2");
    await page.click('#metric-list input[value=wattmetre_power_watt]');
    await statusHas('2 series');
    expect(await legend()).toEqual([
      [
        expect.stringContaining('taurus-1'),
        'wattmetre_power_watt',
        '100 W',
        expect.any(String),
        '900 W',
        '90001',
      ],
      [
        expect.stringContaining('taurus-2'),
        'wattmetre_power_watt',
        '150 W',
        expect.any(String),
        '250 W',
        '90001',
      ],
    ]);
    // The peak is a column of its own colour that goes up to the top of the chart.
    const job = { from: 300, to: 2100 };
    expect(await topPixel((PEAK_S - job.from) / (job.to - job.from))).toBeLessThan(0.12);
    expect(await topPixel((PEAK_S + 60 - job.from) / (job.to - job.from))).toBeGreaterThan(0.6);
    expect((await hash()).getAll('device')).toEqual(['taurus-1', 'taurus-2']);
  });

  /** How far down (0 to 1) the first series begins in the column at this share of the width. */
  async function topPixel(share: number): Promise<number> {
    return await page.evaluate(`(() => {
      const canvas = document.querySelector('.uplot canvas');
      const over = document.querySelector('.u-over');
      const box = canvas.getBoundingClientRect(), inner = over.getBoundingClientRect();
      const x = Math.round(inner.left - box.left + inner.width * ${share}) - 2;
      const y = Math.round(inner.top - box.top);
      const { data } = canvas.getContext('2d').getImageData(x, y, 5, Math.round(inner.height));
      const isBlue = (at) => data[at + 3] > 60 && data[at + 2] > data[at] + 60 && data[at + 2] > data[at + 1] + 30;
      for (let at = 0; at < data.length; at += 4) if (isBlue(at)) return Math.floor(at / 20) / inner.height;
      return 1;
    })()`);
  }

  test('zooms by dragging down to single readings, and loads no more than it draws', async () => {
    await page.drag('.u-over', 0.45, 0.55);
    await wait("location.hash.includes('from=')");
    const whole = 1800;
    await vi.waitFor(
      async () => {
        const parameters = await hash();
        const length = Date.parse(parameters.get('to') ?? '') - Date.parse(parameters.get('from') ?? '');
        expect(length / 1000).toBeGreaterThan(0.08 * whole);
        expect(length / 1000).toBeLessThan(0.12 * whole);
      },
      { timeout: 5000 },
    );
    for (let i = 0; i < 6; i++) await page.click('#zoom-in');
    await statusHas('columns of 3');
    expect(Number((await legend())[0]?.[5])).toBeLessThan(160);
    const sizes = await page.evaluate<number[]>(
      "performance.getEntriesByType('resource').filter(({ name }) => name.includes('/kw/envelope')).map(({ decodedBodySize }) => decodedBodySize)",
    );
    expect(sizes.length).toBeGreaterThan(1);
    expect(Math.max(...sizes)).toBeLessThan(150_000);
    for (let i = 0; i < 7; i++) await page.click('#undo');
    await statusHas('2 series');
    await wait(
      "[...document.querySelectorAll('#legend tr')].every((row) => row.cells[7].innerText.length > 5)",
    );
  });

  test('marks a span, with the figures that the values have', async () => {
    await page.click('#drag-mark');
    await page.drag('.u-over', 0.2, 0.4);
    await wait("document.querySelector('#legend-caption').innerText === 'Values of the marked span'");
    await statusHas('Marked');
    const [from, to] = ((await hash()).get('span') ?? '').split('~');
    const { rows } = await db.client.query(
      `SELECT min(value), avg(value), max(value), count(*)::int FROM kw.metrics
       WHERE device_id LIKE 'meter%' AND timestamp BETWEEN $1 AND $2 GROUP BY device_id ORDER BY device_id`,
      [from, to],
    );
    const short = (value: number) => `${Number(value.toPrecision(5))} W`;
    expect((await legend()).map((cells) => cells.slice(2))).toEqual(
      rows.map(({ min, avg, max, count }) => [short(min), short(avg), short(max), String(count)]),
    );
  });

  test('sets step marks by keyboard, reads values out, and has them in the address', async () => {
    await page.evaluate("document.querySelector('.panel').focus()");
    for (let i = 0; i < 3; i++) await page.key('ArrowRight');
    await wait(
      "/: taurus-1\\/wattmetre_power_watt [\\d.]+ \\(.*; taurus-2/.test(document.querySelector('#status').innerText)",
    );
    await page.key('m');
    await wait("document.querySelectorAll('#step-list li').length === 1");
    await page.click('#step-list input');
    await page.type('warm up');
    await page.key('Tab');
    await wait("location.hash.includes('warm+up')");
    await page.evaluate("document.querySelector('.panel').focus()");
    await page.key('Escape');
    await wait("document.querySelector('#span').hidden");
    await page.key('ArrowRight');
    await page.key('Shift+ArrowRight');
    await page.key('Shift+ArrowRight');
    await wait("!document.querySelector('#span').hidden && location.hash.includes('span=')");
  });

  test('shows another person the same by its address', async () => {
    await statusHas('Marked');
    const url = await page.evaluate<string>('location.href');
    const other = await chromium.page({ width: 1280, height: 800, headers });
    await other.open(url);
    await other.waitFor("document.querySelector('#status').innerText.includes('Marked')");
    await other.waitFor("document.querySelectorAll('#legend tr').length === 2");
    expect(await legend(other)).toEqual(await legend());
    expect(await other.evaluate("document.querySelector('#step-list input').value")).toBe('warm up');
    expect(await other.text('#span-text')).toBe(await page.text('#span-text'));
    expect(other.problems).toEqual([]);
    await other.close();
  });

  test('downloads the values as CSV and the chart as PNG', async () => {
    const [from, to] = ((await hash()).get('span') ?? '').split('~');
    const { rows } = await db.client.query(
      `SELECT count(*)::int FROM kw.metrics WHERE device_id LIKE 'meter%' AND timestamp BETWEEN $1 AND $2`,
      [from, to],
    );
    await page.click('#csv');
    const csv = await page.download(/\.csv$/);
    const lines = csv.bytes.toString().trimEnd().split('\n');
    expect(csv.name).toMatch(/^kw-oar_1234-\d{14}\.csv$/);
    expect(lines[0]).toBe('timestamp,device_id,metric_id,value,labels');
    expect(lines.length - 1).toBe(rows[0]?.count);
    await page.click('#png');
    const png = await page.download(/\.png$/);
    expect(png.bytes.subarray(0, 8)).toEqual(Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'));
    expect(png.bytes.readUInt32BE(16)).toBeGreaterThan(800);
  });

  test('has all drawn values as a table', async () => {
    await page.click('#table-details summary');
    await wait("document.querySelectorAll('#table tbody tr').length === 100");
    expect(await page.text('#table thead')).toContain('taurus-1/wattmetre_power_watt (W)');
    await page.click('#table-after');
    await wait("document.querySelector('#table-place').innerText.startsWith('page 2 of')");
    await page.click('#table-details summary');
  });

  test('follows live, and asks no more when it is switched off', async () => {
    await page.open(`${server.url}/#device=meter-live&metric=power&live=60`);
    await page.evaluate('location.reload()');
    await statusHas('Live.');
    const insert = (value: number) =>
      db.client.query("INSERT INTO kw.metrics VALUES (now(), 'meter-live', 'power', $1, '{}')", [value]);
    await insert(41);
    await insert(42);
    await wait("document.querySelector('#legend tr')?.cells[6].innerText === '42'", 'a live value');
    expect((await legend())[0]).toEqual(['meter-live', 'power', '41', '41.5', '42', '2']);
    await page.click('#live');
    await wait("location.hash.includes('from=')");
    const acquire = vi.spyOn(server.pool, 'acquire');
    await new Promise((resolve) => setTimeout(resolve, 1500));
    const before = acquire.mock.calls.length;
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(acquire.mock.calls.length).toBe(before);
    acquire.mockRestore();
  });

  test('shows names and comments of others as text', async () => {
    const query = new URLSearchParams({
      job: 'oar:666',
      device: HOSTILE,
      metric: HOSTILE,
      step: `${iso(500)}~${HOSTILE}`,
    });
    await page.open(`${server.url}/#${query}&from=${iso(0)}&to=${iso(TRACE_S)}`);
    await page.evaluate('location.reload()');
    await wait(`document.querySelector('#job-chosen').innerText.includes(${JSON.stringify(HOSTILE)})`);
    await wait("document.querySelectorAll('#legend tr').length === 1");
    expect((await legend())[0]?.slice(0, 2)).toEqual([HOSTILE, expect.stringContaining(HOSTILE)]);
    expect(await page.evaluate('[document.images.length, typeof window.hacked]')).toEqual([0, 'undefined']);
    const html = await page.evaluate<string>(
      "(() => { try { document.body.innerHTML = '<p>x'; return 'taken'; } catch (error) { return error.name; } })()",
    );
    expect(html).toBe('TypeError');
    page.problems.length = 0; // the refusal above
  });

  test('is allowed by its policy to do nothing but what it does', async () => {
    const { headers: got } = await fetch(`${server.url}/`);
    const policy = got.get('content-security-policy') ?? '';
    expect(policy).toMatch(/^default-src 'none'; script-src 'self'; style-src 'self'; /);
    expect(policy).not.toMatch(/unsafe|data:|blob:|\*|https?:/);
    expect(got.get('x-content-type-options')).toBe('nosniff');
    expect([...new Set(page.requests.map((url) => new URL(url).origin))]).toEqual([server.url]);
    const again = await fetch(`${server.url}/assets/page.js`, {
      headers: { 'if-none-match': (await fetch(`${server.url}/assets/page.js`)).headers.get('etag') ?? '' },
    });
    expect(again.status).toBe(304);
  });

  test('asks for a token where the server wants one, and keeps it in this tab only', async () => {
    const stranger = await chromium.page({ width: 800, height: 600 });
    await stranger.open(`${server.url}/#device=taurus-1&metric=wattmetre_power_watt`);
    await stranger.waitFor("document.querySelector('#token-dialog').open");
    expect(await stranger.evaluate('document.activeElement.id')).toBe('token');
    await stranger.type('abc.def.ghi');
    await stranger.key('Enter');
    await stranger.waitFor("document.querySelector('#token-button').innerText === 'Token: set'");
    expect(
      await stranger.evaluate(
        "[sessionStorage['kw-token'], JSON.stringify(localStorage), location.href.includes('abc')]",
      ),
    ).toEqual(['abc.def.ghi', '{}', false]);
    await vi.waitFor(() => expect(stranger.authorizations.at(-1)).toBe('Bearer abc.def.ghi'), {
      timeout: 5000,
    });
    await stranger.close();
  });

  test('shows the API to who reads its document in a browser, with nothing from elsewhere', async () => {
    const shown = await chromium.page({ width: 1280, height: 800, headers });
    await shown.open(`${server.url}/docs`);
    const lines = "[...document.querySelectorAll('.opblock-summary')]";
    await shown.waitFor(`${lines}.length > 0`);
    const document = (await (await fetch(`${server.url}/openapi.json`)).json()) as {
      paths: Record<string, Record<string, unknown>>;
    };
    const routes = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    // The page puts characters of no width where a path may be broken.
    const listed = await shown.evaluate<string[]>(
      `${lines}.map((line) => ['method', 'path'].map((part) => line.querySelector('.opblock-summary-' + part).textContent).join(' '))`,
    );
    expect(listed.map((line) => line.replaceAll('\u200b', '')).toSorted()).toEqual(routes.toSorted());
    expect(await shown.evaluate("[document.title, document.querySelector('.topbar')]")).toEqual([
      'kw serve: API',
      null,
    ]);
    await shown.click('[id*=get_rpc_get_metrics] button');
    await shown.waitFor("document.querySelector('.parameters')?.textContent.includes('start_time')");
    await shown.screenshot(join(screenshots, 'docs-1280-light.png'));
    expect([...new Set(shown.requests.map((url) => new URL(url).origin))]).toEqual([server.url]);
    const policy = (await fetch(`${server.url}/docs/`)).headers.get('content-security-policy') ?? '';
    expect(policy).toMatch(/default-src 'self'/);
    expect(policy).not.toMatch(/\*|https?:|upgrade-insecure|unsafe-eval|script-src[^;]*unsafe-inline/);
    expect(shown.problems).toEqual([]);
    await shown.close();
  });

  const everything = () =>
    `${server.url}/#job=oar:1234&device=taurus-1&device=taurus-2&metric=wattmetre_power_watt&metric=bmc_cpu_temp_celsius` +
    `&from=${iso(0)}&to=${iso(TRACE_S)}&step=${iso(600)}~warm+up&step=${iso(1200)}~run&span=${iso(1200)}~${iso(1800)}`;

  test.each([
    { width: 1280, height: 800, dark: false },
    { width: 1280, height: 800, dark: true },
    { width: 390, height: 844, dark: false },
    { width: 390, height: 844, dark: true },
  ])('can be read and used at $width x $height, dark: $dark', async ({ width, height, dark }) => {
    const shown = await chromium.page({ width, height, dark, headers });
    await shown.open(everything());
    await shown.waitFor("document.querySelectorAll('.panel canvas').length === 2");
    await shown.waitFor("document.querySelector('#status').innerText.includes('Marked')");
    const name = `${width}-${dark ? 'dark' : 'light'}`;
    await shown.screenshot(join(screenshots, `whole-${name}.png`), { whole: true });
    expect(await shown.evaluate('document.documentElement.scrollWidth')).toBe(width);
    expect(await shown.evaluate(LOW_CONTRAST)).toEqual([]);
    expect(await namelessControls(shown)).toEqual([]);
    await shown.key('Tab');
    expect(await shown.evaluate('document.activeElement.className')).toBe('skip');
    expect(shown.problems).toEqual([]);
    await shown.close();
  });
});

/** Controls that a screen reader could not name, from the browser's own accessibility tree. */
async function namelessControls(page: Page): Promise<string[]> {
  const roles = new Set([
    'button',
    'textbox',
    'searchbox',
    'combobox',
    'checkbox',
    'listbox',
    'application',
    'table',
    'toolbar',
    'dialog',
  ]);
  const { nodes } = (await page.call('Accessibility.getFullAXTree')) as {
    nodes: {
      ignored: boolean;
      role?: { value: string };
      name?: { value: string };
      backendDOMNodeId: number;
    }[];
  };
  return nodes
    .filter(({ ignored, role, name }) => !ignored && roles.has(role?.value ?? '') && !name?.value)
    .map(({ role, backendDOMNodeId }) => `${role?.value} ${backendDOMNodeId}`);
}

/** Texts with less contrast than WCAG 2.2 asks (1.4.3: 4.5 to 1; controls that are switched off are exempt). */
const LOW_CONTRAST = `(() => {
  const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const found = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility() || element.closest(':disabled')) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(ground(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.add(walker.currentNode.data.trim() + ' ' + ratio.toFixed(2));
  }
  return [...found];
})()`;
