/**
 * Debian's Chromium without a window, driven over its DevTools protocol (chromedevtools.github.io/devtools-protocol): what
 * a user does goes in as events of mouse and keyboard, what they see comes out as text and pictures.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { WebSocket } from 'undici';
import { endProcess } from './endProcess.ts';
import { findProgram } from './skip.ts';

const START_TIMEOUT_MS = 30_000;
const CALL_TIMEOUT_MS = 20_000;
const WAIT_TIMEOUT_MS = 10_000;

export interface BrowserOptions {
  readonly width: number;
  readonly height: number;
  readonly dark?: boolean;
  /** Of every request. */
  readonly headers?: Readonly<Record<string, string>>;
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
  readonly sessionId?: string;
}

export class Chromium {
  readonly #end: () => Promise<void>;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<
    number,
    { resolve(result: Record<string, unknown>): void; reject(error: Error): void }
  >();
  readonly #pages = new Map<string, Page>();
  readonly downloads: string;
  #nextId = 1;

  private constructor(socket: WebSocket, downloads: string, end: () => Promise<void>) {
    this.#socket = socket;
    this.#end = end;
    this.downloads = downloads;
    socket.addEventListener('message', ({ data }) => this.#take(JSON.parse(String(data)) as Message));
  }

  static async start(): Promise<Chromium> {
    const program = findProgram('chromium');
    if (program === undefined) throw new Error('chromium is missing');
    const folder = mkdtempSync(join(tmpdir(), 'kw-chromium-'));
    const downloads = join(folder, 'downloads');
    mkdirSync(downloads);
    const child = spawn(
      program,
      [
        '--headless=new',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-dev-shm-usage',
        '--disable-extensions',
        '--disable-background-networking',
        '--disable-component-update',
        '--no-first-run',
        '--hide-scrollbars',
        '--remote-debugging-port=0',
        `--user-data-dir=${folder}`,
        'about:blank',
      ],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: { ...process.env, HOME: folder, TZ: 'UTC', LANG: 'C.UTF-8' },
      },
    );
    const end = async () => {
      await endProcess(child);
      rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    };
    try {
      const url = await new Promise<string>((resolve, reject) => {
        let text = '';
        const timer = setTimeout(
          () => reject(new Error(`chromium does not start: ${text}`)),
          START_TIMEOUT_MS,
        );
        child.on('error', reject);
        child.on('exit', () => reject(new Error(`chromium has ended: ${text}`)));
        child.stderr.setEncoding('utf8').on('data', (piece: string) => {
          text += piece;
          const [, found] = /DevTools listening on (ws:\/\/\S+)/.exec(text) ?? [];
          if (found === undefined) return;
          clearTimeout(timer);
          resolve(found);
        });
      });
      const socket = new WebSocket(url);
      await once(socket as unknown as EventTarget, 'open');
      return new Chromium(socket, downloads, end);
    } catch (error) {
      await end();
      throw error;
    }
  }

  async page({ width, height, dark = false, headers = {} }: BrowserOptions): Promise<Page> {
    const { targetId } = await this.call('Target.createTarget', { url: 'about:blank' });
    const { sessionId } = await this.call('Target.attachToTarget', { targetId, flatten: true });
    const page = new Page(this, String(sessionId), String(targetId));
    this.#pages.set(String(sessionId), page);
    await page.call('Page.enable');
    await page.call('Runtime.enable');
    await page.call('Log.enable');
    await page.call('Network.enable');
    await page.call('Network.setExtraHTTPHeaders', { headers });
    await page.resize(width, height);
    await page.call('Emulation.setEmulatedMedia', {
      features: [{ name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' }],
    });
    await this.call('Browser.setDownloadBehavior', { behavior: 'allow', downloadPath: this.downloads });
    return page;
  }

  async call(
    method: string,
    params: Record<string, unknown> = {},
    sessionId?: string,
  ): Promise<Record<string, unknown>> {
    const id = this.#nextId++;
    return await new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new Error(`chromium does not answer ${method}`));
      }, CALL_TIMEOUT_MS);
      this.#waiting.set(id, {
        resolve: (result) => {
          clearTimeout(timer);
          resolve(result);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      });
      this.#socket.send(JSON.stringify({ id, method, params, sessionId }));
    });
  }

  async close(): Promise<void> {
    this.#socket.close();
    await this.#end();
  }

  #take({ id, method, params = {}, result = {}, error, sessionId }: Message): void {
    if (id !== undefined) {
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error) waiting?.reject(new Error(error.message));
      else waiting?.resolve(result);
    } else if (method !== undefined && sessionId !== undefined) {
      this.#pages.get(sessionId)?.heard(method, params);
    }
  }
}

export class Page {
  /** What the console says that nobody wants to read there: errors, refusals of the policy. */
  readonly problems: string[] = [];
  /** Paths and queries of all requests. */
  readonly requests: string[] = [];
  /** Headers `authorization` of requests that have one. */
  readonly authorizations: string[] = [];
  readonly #browser: Chromium;
  readonly #sessionId: string;
  readonly #targetId: string;

  constructor(browser: Chromium, sessionId: string, targetId: string) {
    this.#browser = browser;
    this.#sessionId = sessionId;
    this.#targetId = targetId;
  }

  heard(method: string, params: Record<string, unknown>): void {
    if (method === 'Runtime.exceptionThrown') this.problems.push(JSON.stringify(params.exceptionDetails));
    if (method === 'Log.entryAdded') {
      const { level, text } = params.entry as { level: string; text: string };
      if (level === 'error') this.problems.push(text);
    }
    if (method === 'Network.requestWillBeSent') {
      const { url, headers } = params.request as { url: string; headers: Record<string, string> };
      if (/^https?:/.test(url)) this.requests.push(url);
      if (headers.authorization) this.authorizations.push(headers.authorization);
    }
  }

  call(method: string, params: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    return this.#browser.call(method, params, this.#sessionId);
  }

  async open(url: string): Promise<void> {
    await this.call('Page.navigate', { url });
    await this.waitFor<boolean>("document.readyState === 'complete'");
  }

  /** The value of an expression in the page, as JSON has it. */
  async evaluate<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = (await this.call('Runtime.evaluate', {
      expression,
      returnByValue: true,
      awaitPromise: true,
      userGesture: true,
    })) as { result: { value: T }; exceptionDetails?: { exception?: { description?: string } } };
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? 'the expression fails');
    return result.value;
  }

  /** Until the expression is true, or whatever is not nothing. */
  async waitFor<T>(expression: string, what = expression): Promise<T> {
    const deadline = Date.now() + WAIT_TIMEOUT_MS;
    for (;;) {
      const value = await this.evaluate<T>(expression).catch(() => undefined);
      if (value) return value;
      if (Date.now() > deadline) {
        const shown = await this.evaluate<string>('document.body.innerText').catch(() => '');
        throw new Error(
          `waited in vain for ${what}; the page shows:\n${shown.slice(0, 1500)}\n${this.problems.join('\n')}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async text(selector: string): Promise<string> {
    return await this.evaluate(`document.querySelector(${JSON.stringify(selector)})?.innerText ?? ''`);
  }

  async click(selector: string): Promise<void> {
    const at = await this.#middle(selector);
    await this.mouse('mousePressed', at);
    await this.mouse('mouseReleased', at);
  }

  /** Over an element, from one share of its width to another. */
  async drag(selector: string, fromShare: number, toShare: number): Promise<void> {
    const { left, top, width, height } = await this.#box(selector);
    const y = top + height / 2;
    const at = (share: number) => ({ x: left + width * share, y });
    await this.mouse('mouseMoved', at(fromShare));
    await this.mouse('mousePressed', at(fromShare));
    for (let step = 1; step <= 5; step++) {
      await this.mouse('mouseMoved', at(fromShare + ((toShare - fromShare) * step) / 5), 1);
    }
    await this.mouse('mouseReleased', at(toShare));
  }

  async mouse(type: string, { x, y }: { x: number; y: number }, buttons = 0): Promise<void> {
    const pressed = type !== 'mouseMoved';
    await this.call('Input.dispatchMouseEvent', {
      type,
      x,
      y,
      button: pressed || buttons ? 'left' : 'none',
      buttons,
      clickCount: pressed ? 1 : 0,
    });
  }

  async type(text: string): Promise<void> {
    await this.call('Input.insertText', { text });
  }

  /** `Enter`, `ArrowRight`, `Shift+ArrowRight`, `+`. */
  async key(name: string): Promise<void> {
    const isShifted = name.startsWith('Shift+');
    const key = isShifted ? name.slice('Shift+'.length) : name;
    const codes: Record<string, number> = {
      Enter: 13,
      Escape: 27,
      Tab: 9,
      ArrowLeft: 37,
      ArrowUp: 38,
      ArrowRight: 39,
      ArrowDown: 40,
      PageUp: 33,
      PageDown: 34,
    };
    const code = codes[key];
    const event = {
      key,
      code: key,
      modifiers: isShifted ? 8 : 0,
      ...(code === undefined ? { text: key } : { windowsVirtualKeyCode: code }),
      // What submits a form is the character.
      ...(key === 'Enter' ? { text: '\r' } : {}),
    };
    await this.call('Input.dispatchKeyEvent', {
      type: code === undefined || key === 'Enter' ? 'keyDown' : 'rawKeyDown',
      ...event,
    });
    await this.call('Input.dispatchKeyEvent', { type: 'keyUp', ...event });
  }

  async resize(width: number, height: number): Promise<void> {
    await this.call('Emulation.setDeviceMetricsOverride', {
      width,
      height,
      deviceScaleFactor: 1,
      mobile: width < 600,
    });
  }

  /**
   * The picture of what is seen, or of the whole page: then the window is as high as that for a moment, as Chromium's
   * own pictures of more than its window lack pieces.
   */
  async screenshot(path: string, { whole = false } = {}): Promise<void> {
    const [width, height, wholeHeight] = await this.evaluate<[number, number, number]>(
      '[innerWidth, innerHeight, document.documentElement.scrollHeight]',
    );
    if (whole) {
      await this.resize(width, wholeHeight);
      await this.evaluate(
        'new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))',
      );
    }
    const { data } = await this.call('Page.captureScreenshot', { format: 'png' });
    if (whole) await this.resize(width, height);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, Buffer.from(String(data), 'base64'));
  }

  /** Waits for a file to be complete. */
  async download(name: RegExp): Promise<{ name: string; bytes: Buffer }> {
    const { readdirSync } = await import('node:fs');
    const deadline = Date.now() + WAIT_TIMEOUT_MS;
    for (;;) {
      const found = readdirSync(this.#browser.downloads).find((one) => name.test(one));
      if (found !== undefined)
        return { name: found, bytes: readFileSync(join(this.#browser.downloads, found)) };
      if (Date.now() > deadline) throw new Error(`no download ${name}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async close(): Promise<void> {
    await this.#browser.call('Target.closeTarget', { targetId: this.#targetId });
  }

  async #box(selector: string): Promise<{ left: number; top: number; width: number; height: number }> {
    const quoted = JSON.stringify(selector);
    return await this.waitFor(
      `(() => {
        const element = document.querySelector(${quoted});
        if (!element) return undefined;
        element.scrollIntoView({ block: 'nearest' });
        const { left, top, width, height } = element.getBoundingClientRect();
        return width > 0 ? { left, top, width, height } : undefined;
      })()`,
      selector,
    );
  }

  async #middle(selector: string): Promise<{ x: number; y: number }> {
    const { left, top, width, height } = await this.#box(selector);
    return { x: left + width / 2, y: top + height / 2 };
  }
}
