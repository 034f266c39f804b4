/** Headers in which a client weighs what it accepts (RFC 9110, section 12.4.2): `gzip;q=0.5, zstd`. */

/** Names in lower case, in their order. A weight that is no number is 0. */
export function readWeights(header: string | undefined): { name: string; weight: number }[] {
  return (header ?? '')
    .toLowerCase()
    .split(',')
    .map((item) => {
      const [name = '', ...parameters] = item.split(';').map((part) => part.trim());
      const quality = parameters.find((part) => part.startsWith('q='));
      const weight = quality === undefined ? 1 : Number(quality.slice(2));
      return { name, weight: Number.isFinite(weight) ? weight : 0 };
    });
}
