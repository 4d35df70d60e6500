/**
 * `webalign/testing/vitest-config`: presets for Vitest to run tests of WGSL, in headless Chromium or in Node.
 *
 * ```js
 * // vitest.config.js
 * import { defineConfig } from 'vitest/config';
 * import { gpuNode } from 'webalign/testing/vitest-config';
 *
 * export default defineConfig({ test: gpuNode() });
 * ```
 *
 * @module webalign/testing/vitest-config
 */
import type { ViteUserConfig } from 'vitest/config';
import type { AdapterName } from '../node/adapter-name.ts';
import { chromiumLaunchOptions } from '../node/chromium.ts';
import { optional } from '../node/packages.ts';

export type { AdapterName } from '../node/adapter-name.ts';

export interface PresetOptions {
  /** Adapter to run on; default: the machine's GPU, otherwise SwiftShader. */
  adapter?: AdapterName | undefined;
}

type TestConfig = NonNullable<ViteUserConfig['test']>;

/** Milliseconds: a software adapter compiles slowly. */
const TIMEOUT = { testTimeout: 60_000, hookTimeout: 120_000 };

/** Runs tests in Node on Dawn, each file in a separate process: Dawn crashes in worker threads. */
export function gpuNode({ adapter }: PresetOptions = {}): TestConfig {
  return { pool: 'forks', ...TIMEOUT, ...(adapter && { env: { WEBALIGN_ADAPTER: adapter } }) };
}

/**
 * Runs tests in a page of headless Chromium. Asynchronous, because it searches for a browser with an adapter; throws if
 * there is none.
 */
export async function gpuBrowser({ adapter }: PresetOptions = {}): Promise<TestConfig> {
  const launchOptions = await chromiumLaunchOptions(adapter ? { adapter } : {});
  const { playwright } = await optional(
    'Vitest in Chromium',
    '@vitest/browser-playwright',
    [],
    () => import('@vitest/browser-playwright'),
  );
  return {
    ...TIMEOUT,
    browser: {
      enabled: true,
      headless: true,
      screenshotFailures: false,
      // Vite bundles the tests' imports before the page responds, which is slow on a busy machine.
      connectTimeout: 300_000,
      provider: playwright({ launchOptions }),
      instances: [{ browser: 'chromium' }],
    },
  };
}
