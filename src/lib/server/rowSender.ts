/**
 * Sends rows while they are read: what a writer has made goes into the body piece by piece, and an answer that grows large
 * takes its place among the large ones before anything of it is sent.
 */
import type { FastifyRequest } from 'fastify';
import type { BigReads } from './bigReads.ts';
import type { BodyStream } from './bodyStream.ts';
import { holderOf } from './caller.ts';

/** What is sent at once. */
const WRITE_BYTES = 64 * 1024;

interface PendingBytes {
  readonly pendingBytes: number;
  take(): Buffer | undefined;
}

export class RowSender {
  readonly #request: FastifyRequest;
  readonly #bigReads: BigReads;
  readonly #body: BodyStream;
  readonly #writer: PendingBytes;
  readonly #smallBytes: number;
  #leave: (() => void) | undefined;

  /** `smallBytes`: an answer of more than this is a big one. */
  constructor(
    request: FastifyRequest,
    bigReads: BigReads,
    body: BodyStream,
    writer: PendingBytes,
    smallBytes: number,
  ) {
    this.#request = request;
    this.#bigReads = bigReads;
    this.#body = body;
    this.#writer = writer;
    this.#smallBytes = smallBytes;
  }

  /**
   * After some rows: resolves when the client can take more, or is undefined where there is nothing to wait for.
   * @throws HttpProblem 503 where too many big answers are sent already, CLIENT_GONE
   */
  readonly flush = (): Promise<void> | undefined =>
    this.#writer.pendingBytes < (this.#body.begun ? WRITE_BYTES : this.#smallBytes)
      ? undefined
      : this.#sendBig();

  /** After the last row. @throws CLIENT_GONE */
  async end(): Promise<void> {
    await this.#send();
    await this.#body.end();
  }

  /** Gives the place among the big answers to another one. */
  leave(): void {
    this.#leave?.();
  }

  async #sendBig(): Promise<void> {
    this.#leave ??= await this.#bigReads.take(holderOf(this.#request), this.#request.raw.socket);
    await this.#send();
  }

  async #send(): Promise<void> {
    const bytes = this.#writer.take();
    if (bytes !== undefined) await this.#body.write(bytes);
  }
}
