/** What becomes of requests to a BMC when kw itself fails; what BMCs do wrong is in the integration tests. */
import { expect, test } from 'vitest';
import { Bmc } from '../../../../src/lib/devices/ipmi/bmc.ts';
import type { IpmiLogin } from '../../../../src/lib/devices/ipmi/url.ts';
import { GET_DEVICE_ID } from '../../../support/ipmiSession.ts';

const LOGIN: IpmiLogin = {
  user: 'root',
  password: 'calvin',
  kg: undefined,
  cipher: undefined,
  privilege: 'user',
  lookUpByName: true,
};

function newBmc(): Bmc {
  const context = { nowUs: () => 0, isConfiguredMetric: () => false };
  return new Bmc({ address: '127.0.0.1', family: 4 }, 623, 'bmc:623', context);
}

test('a login is the same for all who use it, and forgotten when nobody does', () => {
  const bmc = newBmc();
  const state = bmc.login(LOGIN);
  expect(bmc.login({ ...LOGIN })).toBe(state);
  bmc.leave(state);
  expect(bmc.login(LOGIN)).toBe(state);
  bmc.leave(state);
  bmc.leave(state);
  expect(bmc.login(LOGIN)).not.toBe(state);
});

test('a defect while a session is opened fails the requests that wait for it, and nothing else', async () => {
  const bmc = newBmc();
  // No parser gives such a login: it stands for whatever nobody thought of.
  const login = bmc.login({ ...LOGIN, user: undefined as unknown as string });
  const failure = {
    name: 'IpmiError',
    kind: 'protocol',
    message: 'bmc:623: the session failed with TypeError, which is a defect of kw',
  };
  const requests = [bmc.request(login, GET_DEVICE_ID, 1_000), bmc.request(login, GET_DEVICE_ID, 1_000)];
  const settled = await Promise.allSettled(requests);
  expect(settled).toMatchObject([{ reason: failure }, { reason: failure }]);
  // Not tried again at once.
  await expect(bmc.request(login, GET_DEVICE_ID, 1_000)).rejects.toBe(
    (settled[0] as PromiseRejectedResult).reason,
  );
  await bmc.close();
});
