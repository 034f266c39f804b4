/**
 * The cipher suites that kw speaks (IPMI 2.0, table 22-20): 3, which every IPMI 2.0 BMC must have, and 17 with
 * SHA-256. Others lack encryption or authentication, or use MD5.
 */

export type CipherSuiteId = 3 | 17;

export interface CipherSuite {
  readonly id: CipherSuiteId;
  /** Names as the specification gives them, for people. */
  readonly text: string;
  /** Numbers of the algorithms: tables 13-17, 13-18 and 13-19. */
  readonly authentication: number;
  readonly integrity: number;
  readonly confidentiality: number;
  readonly hash: 'sha1' | 'sha256';
  /** Octets of a key exchange authentication code in RAKP messages 2 and 3. */
  readonly exchangeCodeLength: number;
  /** Octets of the integrity check value in RAKP message 4 and of the code under each packet. */
  readonly authCodeLength: number;
}

const SUITES: Readonly<Record<CipherSuiteId, CipherSuite>> = {
  3: {
    id: 3,
    text: 'cipher suite 3 (HMAC-SHA1, HMAC-SHA1-96, AES-CBC-128)',
    authentication: 0x01,
    integrity: 0x01,
    confidentiality: 0x01,
    hash: 'sha1',
    exchangeCodeLength: 20,
    authCodeLength: 12,
  },
  17: {
    id: 17,
    text: 'cipher suite 17 (HMAC-SHA256, HMAC-SHA256-128, AES-CBC-128)',
    authentication: 0x03,
    integrity: 0x04,
    confidentiality: 0x01,
    hash: 'sha256',
    exchangeCodeLength: 32,
    authCodeLength: 16,
  },
};

/** The better one first. */
export const PREFERRED_SUITES: readonly CipherSuiteId[] = [17, 3];

export function cipherSuite(id: CipherSuiteId): CipherSuite {
  return SUITES[id];
}

/**
 * The numbers of the suites in the records that Get Channel Cipher Suites gives (section 22.15.1): `C0 id` for a
 * standard suite, `C1 id` and three octets of a manufacturer for another, then octets below C0 with the algorithms.
 * @returns the standard ones, in the BMC's order; what cannot be read is left out
 */
export function suiteIds(records: Uint8Array): number[] {
  const ids: number[] = [];
  for (let position = 0; position < records.length; position++) {
    if (records[position] === 0xc0 && position + 1 < records.length) {
      position++;
      ids.push(records[position] as number);
    } else if (records[position] === 0xc1) {
      position += 4;
    }
  }
  return ids;
}
