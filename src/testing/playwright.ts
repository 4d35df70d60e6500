/**
 * `webalign/testing/playwright`: tests of WGSL and of pages with WebGPU, under Playwright's own runner. No GPU is needed:
 * see `webalign/testing` for the choice of browser and adapter.
 *
 * ```js
 * import { test, expect } from 'webalign/testing/playwright';
 *
 * test('doubles', async ({ gpu }) => {
 *   const code = `
 *     @group(0) @binding(0) var<storage, read_write> x: array<f32>;
 *     @compute @workgroup_size(4) fn main(@builtin(local_invocation_index) i: u32) { x[i] = 2 * x[i]; }`;
 *   const { x } = await gpu.run({ code, buffers: { x: Float32Array.of(1, 2, 3, 4) }, workgroups: 1 });
 *   expect(x).toBeCloseToTensor([2, 4, 6, 8]);
 * });
 * ```
 *
 * Options are set with `use` in the configuration or with `test.use`: {@link GpuTestOptions}.
 *
 * @module webalign/testing/playwright
 */
import type { Page } from 'playwright';
import { test as base, expect as baseExpect, type TestInfo } from 'playwright/test';
import type { AdapterName } from '../node/adapter-name.ts';
import { launchChromium } from '../node/chromium.ts';
import { serve } from '../node/serve.ts';
import { type Closeness, compareTensors, type Numbers } from './closeness.ts';
import type { Capabilities } from './narrowed.ts';
import { PageGpu } from './page-gpu.ts';
import { watchPages } from './page-watch.ts';
import type { Aftermath, TestGpu } from './test-gpu.ts';
import { type LeakPolicy, verdictOf } from './verdict.ts';

export type { AdapterName } from '../node/adapter-name.ts';
export {
  assertCloseToTensor,
  type Closeness,
  compareTensors,
  type Numbers,
  ulpDistance,
  type Verdict,
} from './closeness.ts';
export { assertGolden, type GoldenOptions } from './golden.ts';
export type { Capabilities } from './narrowed.ts';
export { ODD_LENGTHS, oddShapes, type Random, random, upstreamGradient } from './random.ts';
export type { BindingData, ShaderRun } from './run-shader.ts';
export type { TestAdapter, TestGpu } from './test-gpu.ts';
export { GpuTestError, type LeakPolicy } from './verdict.ts';

/** Options of the runner, for `use` in its configuration. */
export interface GpuTestOptions {
  /** Adapter to run on; default: the machine's GPU, otherwise SwiftShader. Tests fail without it. */
  adapter: AdapterName | undefined;
  /** `default`: the limits that WebGPU guarantees everywhere, whatever the adapter has. */
  limits: Capabilities['limits'];
  /** Features that the tests may use, such as `['shader-f16']`; default: all of the adapter's. */
  features: Capabilities['features'];
  /**
   * Handling of buffers and textures that a test leaves: the test fails (`error`), a warning (`warn`, the default), or
   * nothing.
   */
  leaks: LeakPolicy;
  /** A folder whose files `gpuPage` can load, or several by path prefix; default: an empty page. */
  serve: string | Record<string, string> | undefined;
}

/** Fixtures of a test. */
export interface GpuFixtures {
  /**
   * A page with `navigator.gpu` that only loads `serve`. Errors of its devices fail the test. Devices of its workers are
   * not watched.
   */
  gpuPage: Page;
  /** A device of the worker, shared by its tests, for {@link TestGpu.run}. */
  gpu: TestGpu;
}

interface TestScope {
  gpuPage: Page;
  leaks: LeakPolicy;
  serve: GpuTestOptions['serve'];
  gpuVerdict: undefined;
}

interface WorkerScope {
  gpu: TestGpu;
  adapter: GpuTestOptions['adapter'];
  limits: GpuTestOptions['limits'];
  features: GpuTestOptions['features'];
  /** The worker's `gpu`, after a test has requested it. */
  gpuInUse: { gpu?: PageGpu };
}

/** Playwright's `test` with the fixtures. Its `browser`, `context` and `page` also have WebGPU. */
export const test = base.extend<TestScope, WorkerScope>({
  adapter: [undefined, { option: true, scope: 'worker' }],
  limits: [undefined, { option: true, scope: 'worker' }],
  features: [undefined, { option: true, scope: 'worker' }],
  leaks: ['warn', { option: true }],
  serve: [undefined, { option: true }],

  browser: [
    async ({ adapter, browserName, launchOptions, headless, channel }, use) => {
      if (browserName !== 'chromium')
        throw new Error(
          `webalign/testing/playwright only supports chromium, but this project uses ${browserName}.`,
        );
      const browser = await launchChromium({
        ...launchOptions,
        ...(headless !== undefined && { headless }),
        ...(channel && { channel }),
        ...(adapter && { adapter }),
      });
      await use(browser);
      await browser.close();
    },
    { scope: 'worker', timeout: 0 },
  ],

  gpuInUse: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the names of a fixture's dependencies from its pattern.
    async ({}, use) => use({}),
    { scope: 'worker' },
  ],

  gpu: [
    async ({ browser, limits, features, gpuInUse }, use) => {
      const gpu = await PageGpu.open(browser, { limits, features });
      gpuInUse.gpu = gpu;
      await use(gpu);
      await gpu.close();
    },
    { scope: 'worker', timeout: 0 },
  ],

  gpuVerdict: [
    async ({ gpuInUse, leaks }, use, info) => {
      await use(undefined);
      if (gpuInUse.gpu) judge(await gpuInUse.gpu.finish(), leaks, info);
    },
    { auto: true },
  ],

  gpuPage: async ({ context, limits, features, leaks, serve: folders }, use, info) => {
    const server = await serve(typeof folders === 'string' ? { '/': folders } : (folders ?? {}));
    const finish = await watchPages(context, { limits, features });
    const page = await context.newPage();
    await page.goto(`${server.url}/`);
    await use(page);
    const aftermath = await finish();
    await server.close();
    judge(aftermath, leaks, info);
  },
});

/** Fails the test, or warns. Device errors are shown before the test's own error, because they may be its cause. */
function judge(aftermath: Aftermath, leaks: LeakPolicy, info: TestInfo): void {
  const { error, warning } = verdictOf(aftermath, leaks);
  if (warning) {
    info.annotations.push({ type: 'warning', description: warning });
    console.warn(warning);
  }
  if (!error) return;
  if (info.errors.length === 0) throw error;
  info.errors.unshift({ message: `${error.name}: ${error.message}` });
}

/** Playwright's `expect` with the matchers. */
export const expect = baseExpect.extend({
  /**
   * Whether numbers are close to those of a tensor; see {@link Closeness}. The message shows the first and the worst
   * difference.
   */
  toBeCloseToTensor(actual: Numbers, expected: Numbers, closeness?: Closeness) {
    const { pass, message } = compareTensors(actual, expected, closeness);
    return { pass, message: () => message, name: 'toBeCloseToTensor' };
  },
});
