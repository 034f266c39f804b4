/**
 * Names to addresses in a child process. Node's own look-up runs in a thread that cannot be cancelled: while a
 * name server does not answer, even process.exit() waits for it (5 to 10 s, seen), and a prolog with it.
 */
import { execFile } from 'node:child_process';
import { lookup as lookupInThread } from 'node:dns';
import { isIP, type LookupFunction, Socket } from 'node:net';

/**
 * As dns.lookup, by `getent ahosts`, which asks the same sources in the same order (nsswitch.conf). Where there is
 * no getent (macOS), and for what needs no name server, it is dns.lookup itself.
 */
export const lookupInChild: LookupFunction = (hostname, options, callback) => {
  if (isIP(hostname) !== 0 || hostname === 'localhost') return lookupInThread(hostname, options, callback);
  execFile('getent', ['ahosts', hostname], { timeout: 30_000 }, (error, stdout) => {
    if (error?.code === 'ENOENT') return lookupInThread(hostname, options, callback);
    const addresses = [...new Set(stdout.split('\n').map((line) => line.split(/\s/, 1)[0] ?? ''))]
      .map((address) => ({ address, family: isIP(address) }))
      .filter(({ family }) => family !== 0 && (!options.family || family === options.family));
    const [first] = addresses;
    if (first === undefined) {
      const failure = Object.assign(new Error(`getaddrinfo ENOTFOUND ${hostname}`), {
        code: 'ENOTFOUND',
        hostname,
      });
      return callback(failure, '', 0);
    }
    if (options.all) return callback(null, addresses);
    callback(null, first.address, first.family);
  });
};

/** A socket for pg, which calls connect(port, host) or connect(path). */
export function socketWithLookupInChild(): Socket {
  const socket = new Socket();
  const connect = socket.connect.bind(socket);
  socket.connect = (target: unknown, host?: unknown) =>
    typeof target === 'number' && typeof host === 'string'
      ? connect({ port: target, host, lookup: lookupInChild })
      : connect(String(target));
  return socket;
}
