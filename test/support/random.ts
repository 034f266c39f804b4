/** Seeded random numbers, so that a test that throws dice throws the same ones in every run. */

/** Numbers below 2^32 (mulberry32). */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}

/** Up to 300 random octets. */
export function randomDatagram(next: () => number): Buffer {
  const datagram = Buffer.alloc(next() % 300);
  for (let index = 0; index < datagram.length; index++) datagram[index] = next();
  return datagram;
}

/** A good message with some octets changed, cut out, doubled or cut off. */
export function mutated(good: Uint8Array, next: () => number): Buffer {
  let bad = Buffer.from(good);
  for (let times = 1 + (next() % 4); times > 0; times--) {
    const at = next() % Math.max(bad.length, 1);
    const kind = next() % 5;
    if (kind === 0) bad[at] = next();
    else if (kind === 1) bad[at] = (bad[at] ?? 0) ^ (1 << (next() % 8));
    else if (kind === 2) bad = bad.subarray(0, at);
    else if (kind === 3) bad = Buffer.concat([bad.subarray(0, at), bad.subarray(at + (next() % 4))]);
    else bad = Buffer.concat([bad.subarray(0, at), bad.subarray(Math.max(0, at - (next() % 8)))]);
  }
  return bad;
}
