/** Each instant has one owner of each group that is offered, and a member that comes or goes moves its share only. */
import { describe, expect, it } from 'vitest';
import { offerOf } from '../../../../src/lib/collector/shards/groups.ts';
import { ShardHistory } from '../../../../src/lib/collector/shards/history.ts';
import type { ShardEpoch, ShardGroup, ShardMember } from '../../../../src/lib/collector/shards/model.ts';
import { highest } from '../../../../src/lib/collector/shards/rendezvous.ts';
import { random as seeded } from '../../../support/random.ts';

const groups = (from: number, to: number): ShardGroup[] =>
  Array.from({ length: to - from }, (_, index) => ({
    key: `pdu-${from + index} 0`,
    devices: [`pdu-${from + index}`],
  }));
const uuid = (number: number) => `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`;
const member = (number: number, fingerprint = 'all', fixed = false): ShardMember => ({
  collector: uuid(number),
  fingerprint,
  fixed,
});

describe('rendezvous hashing', () => {
  const keys = groups(0, 2_000).map(({ key }) => key);
  const owners = (members: ShardMember[]) => keys.map((key) => highest(key, members)?.collector);

  it('gives members shares of about one size', () => {
    const members = [1, 2, 3, 4].map((number) => member(number));
    const counts = new Map<string | undefined, number>();
    for (const owner of owners(members)) counts.set(owner, (counts.get(owner) ?? 0) + 1);
    expect(counts.size).toBe(4);
    for (const count of counts.values()) expect(Math.abs(count - 500)).toBeLessThan(80);
  });

  it('moves only what a new member gets, and only what a gone one had', () => {
    for (let size = 1; size < 6; size++) {
      const members = Array.from({ length: size }, (_, number) => member(number));
      const before = owners(members);
      const after = owners([...members, member(99)]);
      const moved = keys.filter((_, index) => before[index] !== after[index]);
      expect(after.filter((owner, index) => owner !== before[index])).toEqual(moved.map(() => uuid(99)));
      expect(Math.abs(moved.length - keys.length / (size + 1))).toBeLessThan(110);
    }
  });

  it('does not look at the order of the members', () => {
    const members = [1, 2, 3].map((number) => member(number));
    expect(owners([...members].reverse())).toEqual(owners(members));
  });

  it('gives a key to the member that has it on its list', () => {
    expect(new Set(owners([member(1), member(2, 'all', true), member(3)]))).toEqual(new Set([uuid(2)]));
  });
});

describe('the history of epochs', () => {
  const offers = new Map([
    ['all', groups(0, 300)],
    ['first', groups(0, 200)],
    ['last', groups(150, 300)],
    ['none', []],
  ]);
  const historyOf = (number: number, epochs: readonly ShardEpoch[], own = 'all') => {
    const history = new ShardHistory(uuid(number));
    for (const [fingerprint, offered] of offers) history.learnOffer(fingerprint, offered);
    history.configure(offerOf(offers.get(own) ?? []));
    history.learn(epochs);
    return history;
  };

  it('has one owner for each group that anybody offers, at every instant, whoever asks', () => {
    const next = seeded(7);
    const random = () => next() / 2 ** 32;
    const names = [...offers.keys()];
    for (let round = 0; round < 40; round++) {
      let sinceUs = 0;
      const epochs = Array.from({ length: 6 }, (_, index): ShardEpoch => {
        sinceUs += 1 + Math.floor(random() * 1_000);
        const members = [1, 2, 3, 4]
          .filter(() => random() < 0.6)
          .map((number) => member(number, names[Math.floor(random() * names.length)], random() < 0.2));
        return { epoch: index + 1, sinceUs, members };
      });
      const histories = [1, 2, 3, 4].map((number) => historyOf(number, epochs));
      for (let sample = 0; sample < 60; sample++) {
        const atUs = Math.floor(random() * (sinceUs + 500));
        const device = `pdu-${Math.floor(random() * 300)}`;
        const epoch = histories[0]?.at(atUs);
        const offering = epoch?.members.filter(({ fingerprint }) =>
          offers.get(fingerprint)?.some(({ devices }) => devices.includes(device)),
        );
        const storing = histories.filter((history) => history.isOwn(device, history.at(atUs)));
        // Nobody offers it: whoever reads it stores it.
        expect(storing.length).toBe(offering?.length ? 1 : 4);
      }
    }
  });

  it('knows the epochs in force from an instant on', () => {
    const epochs = [10, 20, 30].map((sinceUs, index) => ({ epoch: index + 1, sinceUs, members: [] }));
    const history = historyOf(1, epochs);
    const from = (us: number) => history.from(us).map(({ epoch }) => epoch);
    expect([from(5), from(10), from(19), from(20), from(99)]).toEqual([
      [1, 2, 3],
      [1, 2, 3],
      [1, 2, 3],
      [2, 3],
      [3],
    ]);
    expect([5, 10, 29, 30].map((us) => history.at(us)?.epoch)).toEqual([undefined, 1, 2, 3]);
  });

  it('knows whether a collector was alone', () => {
    const history = historyOf(1, [
      { epoch: 1, sinceUs: 10, members: [member(1), member(2)] },
      { epoch: 2, sinceUs: 20, members: [member(1)] },
    ]);
    expect([history.isAloneFrom(19), history.isAloneFrom(20)]).toEqual([false, true]);
  });

  it('takes the ports of a wattmeter for the wattmeter, and what nobody offers for whoever reads it', () => {
    offers.set('meters', [{ key: 'watt 0', devices: ['watt'] }]);
    const epoch = { epoch: 1, sinceUs: 0, members: [member(1, 'meters'), member(2, 'meters')] };
    const stored = [1, 2].map((number) => historyOf(number, [epoch], 'meters').isOwn('watt-port7', epoch));
    expect(stored.filter(Boolean)).toHaveLength(1);
    expect([1, 2].map((number) => historyOf(number, [epoch], 'meters').isOwn('stranger', epoch))).toEqual([
      true,
      true,
    ]);
  });
});
