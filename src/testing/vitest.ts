/**
 * `webalign/testing/vitest`: tests of WGSL under Vitest, in its browser mode or in Node; the same tests run in both. Use
 * the presets of `webalign/testing/vitest-config`.
 *
 * ```js
 * import { expect, test } from 'webalign/testing/vitest';
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
 * @module webalign/testing/vitest
 */
import { test as base, expect as baseExpect } from 'vitest';
import { type Closeness, compareTensors, type Numbers } from './closeness.ts';
import type { Capabilities } from './narrowed.ts';
import { LocalGpu, type TestGpu } from './test-gpu.ts';
import { type LeakPolicy, verdictOf } from './verdict.ts';

export {
  assertCloseToTensor,
  type Closeness,
  compareTensors,
  type Numbers,
  ulpDistance,
  type Verdict,
} from './closeness.ts';
export type { Capabilities } from './narrowed.ts';
export { ODD_LENGTHS, oddShapes, type Random, random, upstreamGradient } from './random.ts';
export type { BindingData, ShaderRun } from './run-shader.ts';
export type { TestAdapter, TestGpu } from './test-gpu.ts';
export { GpuTestError, type LeakPolicy } from './verdict.ts';

declare module 'vitest' {
  // biome-ignore lint/suspicious/noExplicitAny: the parameter must be identical to Vitest's.
  interface Matchers<T = any> {
    /** Whether numbers are close to those of a tensor; see `Closeness`. The message shows the first and the worst difference. */
    toBeCloseToTensor(expected: Numbers, closeness?: Closeness): T;
  }
}

/** How tests run; the preset selects the adapter. */
export interface VitestOptions extends Capabilities {
  /** Handling of buffers and textures that a test leaves; default: `warn`. */
  leaks?: LeakPolicy | undefined;
}

/** A variable, so that bundlers of browser tests do not follow the import. */
const NODE = 'webalign/node';

/**
 * A `test` with these options: `const test = gpuTest({ limits: 'default' })`. Its tests share a device. Without an adapter
 * they fail with the reason.
 */
export function gpuTest({ leaks = 'warn', ...capabilities }: VitestOptions = {}) {
  let shared: Promise<LocalGpu> | undefined;
  const open = async () => LocalGpu.open(await platformGpu(), capabilities);
  return base.extend<{ gpu: TestGpu }>({
    gpu: async ({ task }, use) => {
      shared ??= open();
      const gpu = await shared;
      await use(gpu);
      const { error, warning } = verdictOf(await gpu.finish(), leaks);
      if (warning) console.warn(warning);
      if (!error) return;
      const errors = task.result?.errors;
      if (!errors?.length) throw error;
      // The error on the device is the cause of the test's failure.
      errors.unshift({ name: error.name, message: error.message, stack: error.stack ?? '' });
    },
  });
}

/** The browser's WebGPU, or Node's with index checks. */
async function platformGpu(): Promise<GPU | undefined> {
  if (globalThis.navigator?.gpu || typeof document === 'object') return navigator.gpu;
  const { requestNodeGpu } = (await import(/* @vite-ignore */ NODE)) as typeof import('../node/adapter.ts');
  return (await requestNodeGpu({ checked: true })).gpu;
}

baseExpect.extend({
  toBeCloseToTensor(actual: Numbers, expected: Numbers, closeness?: Closeness) {
    const { pass, message } = compareTensors(actual, expected, closeness);
    return { pass, message: () => message };
  },
});

/** Vitest's `test` with `gpu`. */
export const test = gpuTest();

/** Vitest's `expect` with the matcher. */
export const expect = baseExpect;
