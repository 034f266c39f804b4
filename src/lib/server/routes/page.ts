/**
 * The page at `/`: files of the build, and nothing from anywhere else. Its policy allows no script or style but these, no
 * frame around it, and no text that becomes HTML: names and labels come from devices and users.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { packageRoot } from '../../packageRoot.ts';
import type { ServerContext } from '../context.ts';

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

const HEADERS = {
  'content-security-policy': POLICY,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  // A newer kw is seen at once: the browser asks each time, and is told that nothing changed.
  'cache-control': 'no-cache',
};

const FILES = [
  ['/', 'index.html', 'text/html; charset=utf-8'],
  ['/assets/page.js', 'page.js', 'text/javascript; charset=utf-8'],
  ['/assets/page.css', 'page.css', 'text/css; charset=utf-8'],
  ['/assets/icon.svg', 'icon.svg', 'image/svg+xml'],
] as const;

export function registerPage(app: FastifyInstance, _context: ServerContext): void {
  for (const [url, name, type] of FILES) {
    const file = lazyFile(name);
    app.get(url, { schema: { hide: true }, exposeHeadRoute: true }, (request, reply) =>
      send(request, reply, file(), type),
    );
  }
}

interface ServedFile {
  readonly bytes: Buffer;
  readonly etag: string;
}

/** Read at the first request, and kept. */
function lazyFile(name: string): () => ServedFile {
  let file: ServedFile | undefined;
  return () => {
    if (file === undefined) {
      const bytes = readFileSync(join(packageRoot(), 'dist', 'web', name));
      file = { bytes, etag: `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"` };
    }
    return file;
  };
}

function send(
  request: FastifyRequest,
  reply: FastifyReply,
  { bytes, etag }: ServedFile,
  type: string,
): FastifyReply {
  void reply.headers({ ...HEADERS, etag });
  if (request.headers['if-none-match'] === etag) return reply.code(304).send();
  return reply.type(type).send(bytes);
}
