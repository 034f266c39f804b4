/** A connection to a server that may have crashed a moment ago. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { openClient } from '../../src/lib/database/connection.ts';

const PATIENCE_S = 60;

/** Waits while it recovers. What becomes of the connection later is told by queries. */
export async function whenItIsThere(url: string): Promise<Client> {
  for (let second = 0; ; second++) {
    try {
      const client = await openClient({ url, label: 'the database', embedded: false });
      client.on('error', () => {});
      return client;
    } catch (error) {
      if (second >= PATIENCE_S) throw error;
      await sleep(1000);
    }
  }
}
