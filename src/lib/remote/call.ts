/**
 * A call: one question to the database, or one change, that the command line makes by itself where it has a database and
 * through `kw serve` where it has a server. Both ways it is the same function on the same request, so that both give
 * the same answer.
 */
import type { Client } from 'pg';

export interface Call<Request, Result> {
  /** Its path on the server is `/kw/<name>`. */
  readonly name: string;
  /**
   * Whether the same request may be sent again when it is not known what became of it: true where that changes nothing
   * but what is told.
   */
  readonly repeatable: boolean;
  run(client: Client, request: Request): Promise<Result>;
}
