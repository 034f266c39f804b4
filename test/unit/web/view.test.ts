/** What is looked at, as a link has it. */
import { describe, expect, it } from 'vitest';
import { moved, readView, type View, viewText, zoomed } from '../../../web/view.ts';

const EMPTY_VIEW: View = {
  job: undefined,
  devices: [],
  metrics: [],
  time: undefined,
  last: 3600,
  live: false,
  rate: true,
  steps: [],
  span: undefined,
  hidden: [],
};

const T = 1_795_000_000;

describe('a link', () => {
  it.each<[string, Partial<View>]>([
    ['', {}],
    [
      'job=oar:1234&device=node-1&device=a%2Cb&metric=power',
      { job: 'oar:1234', devices: ['node-1', 'a,b'], metrics: ['power'] },
    ],
    ['last=300', { last: 300 }],
    ['live=60', { live: true, last: 60 }],
    [
      'from=2026-11-18T14:26:40.123456Z&to=2026-11-18T14:26:41Z',
      { time: { from: 1_795_012_000.123456, to: 1_795_012_001 } },
    ],
    [
      'rate=no&step=2026-11-18T14:26:40Z~warm+up%26%23',
      { rate: false, steps: [{ at: 1_795_012_000, name: 'warm up&#' }] },
    ],
    [
      'span=2026-11-18T14:26:40Z~2026-11-18T14:26:41.5Z&hide=a%2Fb',
      { span: { from: 1_795_012_000, to: 1_795_012_001.5 }, hidden: ['a/b'] },
    ],
  ])('%j is the view and back', (text, part) => {
    const view = { ...EMPTY_VIEW, ...part };
    expect(viewText(view)).toBe(text);
    expect(readView(`#${text}`)).toEqual(view);
  });

  it.each([
    'from=x&to=y',
    'from=2026-11-18T14:26:41Z&to=2026-11-18T14:26:40Z',
    'span=~&step=&live=-1&last=1e99',
    'span=2026-11-18T14:26:40Z',
    '%',
    'device=&metric=&hide=',
  ])('%j of whomever is an empty view', (text) => {
    expect(readView(text)).toEqual(EMPTY_VIEW);
  });

  it('holds no more than a page can show', () => {
    const many = Array.from({ length: 5000 }, (_, i) => `device=d${i}&step=2026-11-18T14:26:40Z~s${i}`).join(
      '&',
    );
    const view = readView(many);
    expect([view.devices.length, view.steps.length]).toEqual([200, 100]);
  });
});

describe('zoom', () => {
  it('keeps the place under the cursor', () => {
    expect(zoomed({ from: T, to: T + 100 }, 0.5, T + 25)).toEqual({ from: T + 12.5, to: T + 62.5 });
    expect(zoomed({ from: T, to: T + 100 }, 2)).toEqual({ from: T - 50, to: T + 150 });
  });

  it('has ends', () => {
    const small = zoomed({ from: T, to: T + 0.001 }, 0.1);
    expect(small.to - small.from).toBeCloseTo(0.001, 5);
  });

  it('moves', () => {
    expect(moved({ from: T, to: T + 100 }, -0.5)).toEqual({ from: T - 50, to: T + 50 });
  });
});
