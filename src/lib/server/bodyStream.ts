/**
 * The body of an answer that is sent while it is made. The head goes out with the first bytes, so that until then an
 * error is still an answer of its own; afterwards the connection is broken, and a client sees that the body has no
 * end. A client that reads slowly is waited for, and one that reads nothing for too long is let go.
 */
import { once } from 'node:events';
import type { FastifyReply } from 'fastify';
import { CLIENT_GONE } from './problem.ts';

/** A client that takes nothing for so long holds a connection to the database for nothing. */
const STALL_MS = 60_000;

export class BodyStream {
  readonly #reply: FastifyReply;
  readonly #contentType: string;
  #begun = false;

  constructor(reply: FastifyReply, contentType: string) {
    this.#reply = reply;
    this.#contentType = contentType;
  }

  /** Bytes were sent: errors cannot be answered any more. */
  get begun(): boolean {
    return this.#begun;
  }

  /** @throws CLIENT_GONE */
  async write(bytes: Buffer): Promise<void> {
    const { raw } = this.#reply;
    if (raw.destroyed || raw.socket?.destroyed) throw CLIENT_GONE;
    this.#begin();
    if (raw.write(bytes)) return;
    const stalled = setTimeout(() => raw.destroy(), STALL_MS);
    try {
      const ended = new AbortController();
      await Promise.race([
        once(raw, 'drain', { signal: ended.signal }),
        once(raw, 'close', { signal: ended.signal }).then(() => {
          throw CLIENT_GONE;
        }),
      ]).finally(() => ended.abort());
    } finally {
      clearTimeout(stalled);
    }
  }

  /** After the last byte. */
  async end(): Promise<void> {
    this.#begin();
    this.#reply.raw.end();
  }

  /** What was sent so far is not the whole. */
  abort(): void {
    this.#reply.raw.destroy();
  }

  #begin(): void {
    if (this.#begun) return;
    this.#begun = true;
    this.#reply.hijack();
    this.#reply.raw.writeHead(200, {
      ...(this.#reply.getHeaders() as Record<string, string>),
      'content-type': this.#contentType,
    });
  }
}
