import { defineConfig } from 'vitest/config';

/** Integration tests start the real servers of test/support themselves. */
const integration = {
  testTimeout: 60_000,
  hookTimeout: 120_000,
  globalSetup: ['test/support/globalSetup.ts'],
  // Schedulers, browsers and 200 devices beside their tests on two cores: one more try, which npm test names at its end.
  retry: 1,
};

/** What asserts on intervals of a second, or uses up what all databases of a server share, runs one file at a time. */
const ALONE = [
  'test/integration/collector/**/*.test.ts',
  'test/integration/oar/monitor.test.ts',
  'test/integration/oar/outage.test.ts',
  'test/integration/page/**/*.test.ts',
  'test/integration/push/span.test.ts',
  'test/integration/slurm/**/*.test.ts',
];

/** Unit tests need nothing and run first. */
export default defineConfig({
  test: {
    coverage: { provider: 'v8', include: ['src/**'], reporter: ['text-summary'] },
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'] } },
      {
        test: {
          ...integration,
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          exclude: ALONE,
          // Many of them wait more than they compute; two cores are all there is.
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          ...integration,
          name: 'alone',
          include: ALONE,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
