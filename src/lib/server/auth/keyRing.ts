/** The keys of a running server: as the key file has them now, so that new and removed keys count within a second. */
import { statSync } from 'node:fs';
import { KwError } from '../../errors.ts';
import { readKeys } from '../../tokens/keyFile.ts';
import { sharedSecret, type TokenKey } from '../../tokens/keys.ts';

const LOOK_EVERY_MS = 1_000;

export interface KeyRingOptions {
  readonly keysFile: string;
  /** A secret that another issuer has too. */
  readonly jwtSecret?: string | undefined;
  /** Told when the file cannot be used any more; the keys before hold on. */
  readonly onProblem: (error: KwError) => void;
}

export class KeyRing {
  readonly #options: KeyRingOptions;
  readonly #shared: readonly TokenKey[];
  #keys: readonly TokenKey[];
  #lookedAtMs: number;
  #seen: string;

  /** @throws KwError KEYS_UNSAFE, KEYS_UNREADABLE, KEYS_INVALID, WEAK_SECRET: then no server may start */
  constructor(options: KeyRingOptions) {
    this.#options = options;
    this.#shared = options.jwtSecret === undefined ? [] : [sharedSecret(options.jwtSecret)];
    this.#lookedAtMs = performance.now();
    this.#seen = look(options.keysFile);
    this.#keys = readKeys(options.keysFile);
  }

  get keys(): readonly TokenKey[] {
    if (performance.now() - this.#lookedAtMs >= LOOK_EVERY_MS) this.#refresh();
    return [...this.#keys, ...this.#shared];
  }

  /** For a token whose key is unknown: it may have been made this moment. True when the file has changed. */
  lookAgain(): boolean {
    return this.#refresh();
  }

  #refresh(): boolean {
    this.#lookedAtMs = performance.now();
    const { keysFile, onProblem } = this.#options;
    const seen = look(keysFile);
    if (seen === this.#seen) return false;
    this.#seen = seen;
    try {
      this.#keys = readKeys(keysFile);
      return true;
    } catch (error) {
      if (!(error instanceof KwError)) throw error;
      onProblem(error);
      return false;
    }
  }
}

/** Differs when the file was replaced, changed, or given other rights. */
function look(path: string): string {
  try {
    const { ino, size, mtimeMs, ctimeMs } = statSync(path);
    return [ino, size, mtimeMs, ctimeMs].join(' ');
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unknown';
  }
}
