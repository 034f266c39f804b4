/** Addresses in the form in which the kernel names the sender of a datagram, so that the two can be compared. */
import { SocketAddress } from 'node:net';

/** The shortest form of an IPv6 address; its zone stays. */
export function canonicalIPv6(address: string): string {
  const [bare = '', zone] = address.split('%');
  const canonical = new SocketAddress({ address: bare, family: 'ipv6' }).address;
  return zone === undefined ? canonical : `${canonical}%${zone}`;
}
