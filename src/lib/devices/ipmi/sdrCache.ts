/**
 * Sensor data records on disk, so that a restart reads none: a real BMC needs seconds for a few hundred records.
 * One file a BMC, named after its address, only for its owner; replaced as a whole. What is not exactly as written
 * (another owner, a link, cut short, another sum) is read from the BMC again.
 */
import { createHash, randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

const FORMAT = 1;
/** 4,096 records of 260 bytes in hexadecimal are 2.2 MB. */
const MAX_FILE_BYTES = 4e6;
const FOLDER = 'ipmi';

export interface CachedRecords {
  /** Of the repository when they were read, see `RepositoryState`. */
  readonly fingerprint: string;
  readonly records: readonly Buffer[];
}

export class SdrCache {
  readonly #folder: string;
  readonly #file: string;
  readonly #bmc: string;

  /** @param bmc host and port; no secret */
  constructor(dataFolder: string, bmc: string) {
    this.#folder = join(dataFolder, FOLDER);
    this.#bmc = bmc;
    const name = bmc.replace(/[^a-z0-9.-]+/gi, '_').slice(0, 100);
    this.#file = join(this.#folder, `sdr-${name}-${sha256(bmc).slice(0, 12)}.json`);
  }

  /** What was written last, or undefined when there is nothing that can be trusted. */
  async read(): Promise<CachedRecords | undefined> {
    try {
      const handle = await open(this.#file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
      try {
        const stat = await handle.stat();
        const isOurs = stat.isFile() && stat.uid === process.getuid?.() && (stat.mode & 0o022) === 0;
        if (!isOurs || stat.size > MAX_FILE_BYTES) return undefined;
        return parse(await handle.readFile('utf8'), this.#bmc);
      } finally {
        await handle.close();
      }
    } catch {
      return undefined;
    }
  }

  /** Rejects when the disk does; the caller goes on without a cache. */
  async write({ fingerprint, records }: CachedRecords): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const hex = records.map((record) => record.toString('hex'));
    const sum = sumOf(this.#bmc, fingerprint, hex);
    const text = JSON.stringify({ format: FORMAT, bmc: this.#bmc, fingerprint, sum, records: hex });
    const temporary = `${this.#file}.${randomUUID()}`;
    try {
      const handle = await open(temporary, 'wx', 0o600);
      try {
        await handle.writeFile(`${text}\n`);
      } finally {
        await handle.close();
      }
      await rename(temporary, this.#file);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }
}

function parse(text: string, bmc: string): CachedRecords | undefined {
  const file: unknown = JSON.parse(text);
  if (typeof file !== 'object' || file === null) return undefined;
  const { format, bmc: of, fingerprint, sum, records } = file as Record<string, unknown>;
  if (format !== FORMAT || of !== bmc || typeof fingerprint !== 'string') return undefined;
  if (!Array.isArray(records) || !records.every((record) => typeof record === 'string')) return undefined;
  if (sum !== sumOf(bmc, fingerprint, records)) return undefined;
  return { fingerprint, records: records.map((record) => Buffer.from(record, 'hex')) };
}

function sumOf(bmc: string, fingerprint: string, records: readonly string[]): string {
  return sha256(JSON.stringify([bmc, fingerprint, records]));
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
