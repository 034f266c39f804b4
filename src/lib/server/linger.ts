/**
 * The end of a request that is answered before its body was read: too large, not allowed. A connection that is closed
 * at once is reset, and the client that still writes never sees the answer. So the rest is read and dropped for a
 * moment (nginx calls it lingering close), and then the connection is cut.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';

const LINGER_MS = 2_000;

/** Call it before the answer is sent. Does nothing where the request is there as a whole. */
export function linger({ raw }: FastifyRequest, reply: FastifyReply): void {
  if (raw.complete) return;
  // Node drops what comes after an answer only as long as the connection is to be kept.
  reply.removeHeader('connection');
  const cut = setTimeout(() => raw.socket.destroy(), LINGER_MS);
  raw.once('end', () => clearTimeout(cut));
  raw.socket.once('close', () => clearTimeout(cut));
}
