/** Addresses to listen on, as `127.0.0.1:9842`, `[::1]:9842` or a port alone. */

export interface Listen {
  readonly host: string;
  readonly port: number;
}

/** Undefined unless it is an address and a port. A port alone is that of the loopback interface. */
export function parseListen(text: string): Listen | undefined {
  const match = /^(?:(\[[0-9a-fA-F:.]+\]|[^:[\]\s]+):)?(\d{1,5})$/.exec(text.trim());
  const port = Number(match?.[2]);
  if (match === null || port > 65_535) return undefined;
  return { host: (match[1] ?? '127.0.0.1').replace(/^\[|\]$/g, ''), port };
}

/** Whether nobody outside of this machine reaches the address. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}
