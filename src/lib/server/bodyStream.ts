/**
 * The body of an answer that is sent while it is made. The head goes out with the first bytes, so that until then an
 * error is still an answer of its own; afterwards the connection is broken, and a client sees that the body has no
 * end. A client that reads slowly is waited for, and one that takes nothing for too long is let go.
 */
import type { ServerResponse } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Compressor, chooseCoding, makeCompressor } from './compression.ts';
import { CLIENT_GONE } from './problem.ts';

/** A client that takes nothing for so long holds a connection to the database for nothing. */
const STALL_MS = 60_000;

export class BodyStream {
  readonly #request: FastifyRequest;
  readonly #reply: FastifyReply;
  readonly #contentType: string;
  #compressor: Compressor | undefined;
  #begun = false;

  constructor(request: FastifyRequest, reply: FastifyReply, contentType: string) {
    this.#request = request;
    this.#reply = reply;
    this.#contentType = contentType;
  }

  /** The head was sent: errors cannot be answered any more. */
  get begun(): boolean {
    return this.#begun;
  }

  /**
   * Resolves when the client can take more.
   * @throws CLIENT_GONE
   */
  async write(bytes: Buffer): Promise<void> {
    if (!this.#begun) await this.#begin();
    await this.#send(this.#compressor === undefined ? bytes : await this.#compressor.push(bytes));
  }

  /** After the last byte. */
  async end(): Promise<void> {
    if (!this.#begun) await this.#begin();
    if (this.#compressor !== undefined) await this.#send(await this.#compressor.end());
    this.#reply.raw.end();
  }

  /** What was sent so far is not the whole. */
  abort(): void {
    this.#compressor?.close();
    this.#reply.raw.destroy();
  }

  async #begin(): Promise<void> {
    const coding = chooseCoding(this.#request.headers['accept-encoding']);
    if (coding !== undefined) this.#compressor = await makeCompressor(coding);
    const { raw } = this.#reply;
    if (isGone(raw)) throw CLIENT_GONE;
    this.#begun = true;
    const headers = this.#reply.getHeaders();
    this.#reply.hijack();
    for (const [name, value] of Object.entries(headers)) {
      if (value !== undefined) raw.setHeader(name, value);
    }
    raw.setHeader('content-type', this.#contentType);
    raw.setHeader('vary', 'Accept, Accept-Encoding');
    if (coding !== undefined) raw.setHeader('content-encoding', coding);
    raw.writeHead(200);
  }

  async #send(bytes: Buffer): Promise<void> {
    const { raw } = this.#reply;
    if (isGone(raw)) throw CLIENT_GONE;
    if (bytes.length === 0 || raw.write(bytes)) return;
    await new Promise<void>((resolve, reject) => {
      const done = () => {
        clearTimeout(stalled);
        raw.removeListener('drain', done);
        raw.removeListener('close', done);
        if (isGone(raw)) reject(CLIENT_GONE);
        else resolve();
      };
      const stalled = setTimeout(() => raw.destroy(), STALL_MS);
      raw.on('drain', done);
      raw.on('close', done);
    });
  }
}

function isGone(raw: ServerResponse): boolean {
  return raw.destroyed || raw.socket?.destroyed === true;
}
