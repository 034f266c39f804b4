/** The keys of `server` in kw.yaml that say who gets in, how, and how much: read and checked at their places. */
import { BlockList, isIP } from 'node:net';
import { type Fields, textsOf } from './fields.ts';
import { hasReference } from './references.ts';
import type { ServerAccess } from './settingsModel.ts';

export const ACCESS_KEYS = ['keys', 'jwt_secret', 'proxy', 'tls', 'limits'];

const PROXY_ROLES = { reader: 'kw_reader', writer: 'kw_writer' } as const;

/** What kw.yaml gave, file names and references as they stand there. */
export interface FileAccess {
  readonly keysFile: string | undefined;
  readonly jwtSecret: string | undefined;
  readonly proxy: ServerAccess['proxy'];
  readonly tls: ServerAccess['tls'];
  readonly limits: { readonly [K in keyof ServerAccess['limits']]?: number | undefined };
}

export function readServerAccess(server: Fields): FileAccess {
  return {
    keysFile: server.text('keys'),
    jwtSecret: readSecret(server),
    proxy: readProxy(server),
    tls: readTls(server),
    limits: readLimits(server),
  };
}

function readSecret(server: Fields): string | undefined {
  const field = server.get('jwt_secret');
  const text = server.text('jwt_secret');
  if (field !== undefined && text !== undefined && !hasReference(text)) {
    return server.error(
      field,
      'jwt_secret stands in kw.yaml itself',
      'keep it in a file of its own: ${file:/etc/kwollect/jwt_secret}',
    );
  }
  return text;
}

function readProxy(server: Fields): ServerAccess['proxy'] {
  const map = server.map('proxy');
  map?.refuseUnknown(['addresses', 'user_header', 'role']);
  if (map === undefined) return undefined;
  const addresses = readAddresses(map);
  const userHeader = readHeaderName(map);
  const role = readRole(map);
  if (!map.has('addresses') || !map.has('user_header')) {
    map.errorAt(
      map.place,
      'proxy needs addresses and user_header',
      'write "addresses: 127.0.0.1" and "user_header: x-remote-user"',
    );
  }
  return addresses === undefined || userHeader === undefined ? undefined : { addresses, userHeader, role };
}

/** `10.0.0.1, 192.0.2.0/24` or a list of them. */
function readAddresses(map: Fields): readonly string[] | undefined {
  const field = map.get('addresses');
  if (field === undefined) return undefined;
  const addresses = textsOf(field);
  const wrong = addresses?.find((address) => !isAddressRange(address));
  if (addresses !== undefined && addresses.length > 0 && wrong === undefined) return addresses;
  return map.error(
    field,
    wrong === undefined
      ? 'addresses must name the proxy'
      : `${JSON.stringify(wrong.slice(0, 60))} is no address`,
    'write 127.0.0.1, 192.0.2.0/24 or 2001:db8::/64; names of hosts are not looked up',
  );
}

/** Whether it is an IP address or a network in CIDR notation. All of the internet is none. */
function isAddressRange(text: string): boolean {
  const [address = '', bits, more] = text.split('/');
  const family = isIP(address);
  if (family === 0 || more !== undefined) return false;
  if (bits === undefined) return true;
  const most = family === 4 ? 32 : 128;
  return /^\d{1,3}$/.test(bits) && Number(bits) >= 1 && Number(bits) <= most;
}

/** The addresses as something that can be asked; those of addressRange. */
export function addressList(addresses: readonly string[]): BlockList {
  const list = new BlockList();
  for (const text of addresses) {
    const [address = '', bits] = text.split('/');
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return list;
}

function readHeaderName(map: Fields): string | undefined {
  const field = map.get('user_header');
  const text = map.text('user_header')?.toLowerCase();
  if (field === undefined || text === undefined) return undefined;
  const ordinary = ['authorization', 'cookie', 'host', 'connection', 'content-type', 'content-length'];
  if (/^[a-z0-9][a-z0-9-]{0,63}$/.test(text) && !ordinary.includes(text)) return text;
  return map.error(field, 'user_header is no name of a header of its own', 'write x-remote-user');
}

function readRole(map: Fields): (typeof PROXY_ROLES)[keyof typeof PROXY_ROLES] {
  const field = map.get('role');
  const text = map.text('role');
  if (field === undefined || text === undefined) return PROXY_ROLES.writer;
  if (text === 'reader' || text === 'writer') return PROXY_ROLES[text];
  map.error(field, 'role is neither reader nor writer', 'other roles need a token');
  return PROXY_ROLES.reader;
}

function readTls(server: Fields): ServerAccess['tls'] {
  const map = server.map('tls');
  map?.refuseUnknown(['certificate', 'key']);
  if (map === undefined) return undefined;
  const certificateFile = map.text('certificate');
  const keyFile = map.text('key');
  if (certificateFile !== undefined && keyFile !== undefined) return { certificateFile, keyFile };
  map.errorAt(map.place, 'tls needs certificate and key', 'write the paths of two PEM files');
  return undefined;
}

function readLimits(server: Fields): FileAccess['limits'] {
  const map = server.map('limits');
  map?.refuseUnknown(['user_requests', 'anonymous_requests', 'at_once', 'body']);
  if (map === undefined) return {};
  return {
    userRequests: map.integer('user_requests', 1, 10_000_000),
    anonymousRequests: map.integer('anonymous_requests', 1, 10_000_000),
    atOnce: map.integer('at_once', 1, 100_000),
    bodyBytes: map.size('body', 1_000, 1e9),
  };
}
