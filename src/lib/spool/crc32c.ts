/**
 * CRC32C (Castagnoli), the check of the spool's records. A library's, in WebAssembly: on buffers of 500 kB it does
 * 2,000 MB/s on one core, a table in JavaScript 440 to 890, `@aws-crypto/crc32c` 76, which would be the largest part
 * of what a record costs (`node bench/run.js spool/main`).
 */
import hashWasm from 'hash-wasm';

/** The polynomial 0x1EDC6F41, bits reversed. */
const CASTAGNOLI = 0x82f63b78;

export type Crc32c = (...parts: readonly Uint8Array[]) => number;

let loading: Promise<Crc32c> | undefined;

/** The function, once its code is compiled: the CRC of the parts as if they were one. */
export function loadCrc32c(): Promise<Crc32c> {
  loading ??= hashWasm.createCRC32(CASTAGNOLI).then((hasher) => (...parts) => {
    hasher.init();
    for (const part of parts) hasher.update(part);
    return Number.parseInt(hasher.digest(), 16);
  });
  return loading;
}
