/**
 * Keeps where the groups of a BMC have their values. Finding that takes a request for every chassis and more, perhaps
 * more time than a poll has: what was read until then is kept, and the next poll goes on from there.
 */
import type { RedfishClient } from './client.ts';
import type { RedfishError } from './failure.ts';
import { findSources, type Source } from './groups.ts';
import type { Group } from './url.ts';

/** Firmware updates and new cards change what there is. */
const KEEP_MS = 3_600_000;
/** When there was nothing: a BMC that has just started fills its lists bit by bit. */
const KEEP_NOTHING_MS = 60_000;
/** What a search has read serves that long. */
const SEARCH_MS = 300_000;

interface Search {
  readonly sinceMs: number;
  readonly bodies: Map<string, unknown>;
}

export class SourceFinder {
  readonly #client: RedfishClient;
  readonly #found = new Map<Group, { readonly sources: readonly Source[]; readonly untilMs: number }>();
  #search: Search | undefined;

  constructor(client: RedfishClient) {
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
      this.#search = { sinceMs: performance.now(), bodies: new Map() };
    return this.#search;
  }

  async #fetch(path: string, deadline: number, { bodies }: Search): Promise<unknown> {
    if (bodies.has(path)) {
      const known = bodies.get(path);
      if (known instanceof Error) throw known;
      return known;
    }
    try {
      const { body } = await this.#client.get(path, deadline);
      bodies.set(path, body);
      return body;
    } catch (error) {
      if ((error as RedfishError).scope === 'resource') bodies.set(path, error);
      throw error;
    }
  }
}
