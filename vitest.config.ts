import { defineConfig } from 'vitest/config';

/** Unit tests need nothing; integration tests start the real servers of test/support themselves. */
export default defineConfig({
  test: {
    coverage: { provider: 'v8', include: ['src/**'], reporter: ['text-summary'] },
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'] } },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          globalSetup: ['test/support/globalSetup.ts'],
          // Devices listen on fixed loopback ports and two cores are all there is: one file at a time.
          fileParallelism: false,
        },
      },
    ],
  },
});
