/**
 * Keeps where the groups of a BMC have their values. Finding that takes a request for every chassis and more, perhaps
 * more time than a poll has: what was read until then is kept, and the next poll goes on from there.
 */
import type { RedfishClient } from './client.ts';
import { RedfishError } from './failure.ts';
import { findSources, type Source } from './groups.ts';
import type { Group } from './url.ts';

/** Firmware updates and new cards change what there is. */
const KEEP_MS = 3_600_000;
/** When there was nothing: a BMC that has just started fills its lists bit by bit. */
const KEEP_NOTHING_MS = 60_000;
/** What a search has read serves that long. */
const SEARCH_MS = 300_000;
/** And takes so much: 50 kB for each of 100 chassis and 300 sensors, the most that was seen (groups.ts). */
const MAX_SEARCH_BYTES = 20_000_000;

interface Search {
  readonly sinceMs: number;
  /** Of all bodies. */
  bytes: number;
  readonly bodies: Map<string, unknown>;
}

export class SourceFinder {
  readonly #client: Pick<RedfishClient, 'get'>;
  readonly #found = new Map<Group, { readonly sources: readonly Source[]; readonly untilMs: number }>();
  #search: Search | undefined;

  constructor(client: Pick<RedfishClient, 'get'>) {
    this.#client = client;
  }

  /** Undefined when they have to be searched for. */
  known(group: Group): readonly Source[] | undefined {
    const found = this.#found.get(group);
    return found !== undefined && performance.now() < found.untilMs ? found.sources : undefined;
  }

  /** Finds them. Resolves to what could not be looked at. @throws RedfishError when the search has to go on later */
  async search(group: Group, deadline: number): Promise<readonly RedfishError[]> {
    const search = this.#currentSearch();
    const { sources, failures } = await findSources(group, (path) => this.#fetch(path, deadline, search));
    const keepMs = sources.length === 0 ? KEEP_NOTHING_MS : KEEP_MS;
    this.#search = undefined;
    this.#found.set(group, { sources, untilMs: performance.now() + keepMs });
    return failures;
  }

  /** A resource is gone: whatever group has it is searched for again. */
  forget(path: string): void {
    for (const [group, { sources }] of this.#found)
      if (sources.some((source) => source.path === path)) this.#found.delete(group);
  }

  #currentSearch(): Search {
    if (this.#search === undefined || performance.now() - this.#search.sinceMs > SEARCH_MS)
      this.#search = { sinceMs: performance.now(), bytes: 0, bodies: new Map() };
    return this.#search;
  }

  async #fetch(path: string, deadline: number, search: Search): Promise<unknown> {
    const { bodies } = search;
    if (bodies.has(path)) {
      const known = bodies.get(path);
      if (known instanceof Error) throw known;
      return known;
    }
    if (search.bytes > MAX_SEARCH_BYTES) throw tooMuch();
    try {
      const { body, bodyBytes } = await this.#client.get(path, deadline);
      search.bytes += bodyBytes;
      if (search.bytes > MAX_SEARCH_BYTES) throw tooMuch();
      bodies.set(path, body);
      return body;
    } catch (error) {
      if ((error as RedfishError).scope === 'resource') bodies.set(path, error);
      throw error;
    }
  }
}

/** One sentence for all that is not looked at; what was found until then is read. */
function tooMuch(): RedfishError {
  const message = `has more than ${MAX_SEARCH_BYTES / 1e6} MB to search: the rest is not looked at`;
  return new RedfishError('limit', message, 'resource');
}
