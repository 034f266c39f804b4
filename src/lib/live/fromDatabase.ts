/** Follows a selection in the database itself: one connection, one look a second. */
import type { Client } from 'pg';
import { cancelQuery } from '../database/copyOut.ts';
import { nowUs } from '../time.ts';
import { LiveFeed } from './feed.ts';
import { makeLook } from './look.ts';
import { liveSelection } from './selection.ts';
import type { FollowSource } from './source.ts';

/** `open` gives a connection of our own; it is asked again when one is lost. */
export function followDatabase(open: () => Promise<Client>): FollowSource {
  return async (request, listener, signal) => {
    let client: Client | undefined = await open();
    try {
      const selection = await liveSelection(client, request, nowUs());
      const look = makeLook(selection);
      listener.open();
      const feed = new LiveFeed(async (windowMs, ended) => {
        client ??= await open();
        const current = client;
        const cancel = () => void cancelQuery(current).catch(() => undefined);
        ended.addEventListener('abort', cancel, { once: true });
        try {
          return await look(current, windowMs);
        } catch (error) {
          // Whether it can still be used is not known; a new one can.
          client = undefined;
          void current.end().catch(() => undefined);
          throw error;
        } finally {
          ended.removeEventListener('abort', cancel);
        }
      });
      const leave = feed.listen({
        rows: ({ rows }) => listener.rows(rows),
        warning: (message) => listener.warning(message),
      });
      await new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        else signal.addEventListener('abort', () => resolve(), { once: true });
      });
      leave();
    } finally {
      await client?.end().catch(() => undefined);
    }
  };
}
