/**
 * `webalign/testing/node`: tests of WGSL under Node's own runner, on Dawn, without a browser. No GPU is needed: SwiftShader
 * is installed from npm on Linux x64.
 *
 * ```js
 * import { assertCloseToTensor, test } from 'webalign/testing/node';
 *
 * test('doubles', async ({ gpu }) => {
 *   const code = `
 *     @group(0) @binding(0) var<storage, read_write> x: array<f32>;
 *     @compute @workgroup_size(4) fn main(@builtin(local_invocation_index) i: u32) { x[i] = 2 * x[i]; }`;
 *   const { x } = await gpu.run({ code, buffers: { x: Float32Array.of(1, 2, 3, 4) }, workgroups: 1 });
 *   assertCloseToTensor(x, [2, 4, 6, 8]);
 * });
 * ```
 *
 * `node --test` runs each file in a separate process, as Dawn requires: it crashes in worker threads.
 *
 * @module webalign/testing/node
 */
import { test as nodeTest, type TestContext } from 'node:test';
import { requestNodeGpu } from '../node/adapter.ts';
import type { AdapterName } from '../node/adapter-name.ts';
import type { Capabilities } from './narrowed.ts';
import { LocalGpu, type TestGpu } from './test-gpu.ts';
import { type LeakPolicy, verdictOf } from './verdict.ts';

export type { AdapterName } from '../node/adapter-name.ts';
export { MissingPackageError } from '../node/packages.ts';
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

/** How tests run; see `GpuTestOptions` of `webalign/testing/playwright`. */
export interface NodeTestOptions extends Capabilities {
  /** Adapter to run on; default: the machine's GPU, otherwise SwiftShader. The first choice of a process applies. */
  adapter?: AdapterName | undefined;
  /** Handling of buffers and textures that a test leaves; default: `warn`. */
  leaks?: LeakPolicy | undefined;
}

/** A test gets a device, shared with other tests, and the context of Node's runner. */
export type NodeTestBody = (fixtures: { gpu: TestGpu; context: TestContext }) => void | Promise<void>;

/**
 * A `test` with these options: `const test = gpuTest({ limits: 'default' })`. Its tests share a device. Without an adapter
 * they fail with the reason.
 */
export function gpuTest({ adapter, leaks = 'warn', ...capabilities }: NodeTestOptions = {}) {
  let shared: Promise<LocalGpu> | undefined;
  const open = async () =>
    LocalGpu.open((await requestNodeGpu({ adapter, checked: true })).gpu, capabilities);
  return (name: string, body: NodeTestBody): void => {
    nodeTest(name, async (context) => {
      shared ??= open();
      const gpu = await shared;
      const failed = await settled(async () => body({ gpu, context }));
      const { error, warning } = verdictOf(await gpu.finish(), leaks);
      if (warning) context.diagnostic(warning);
      // The error on the device is the cause of the test's failure.
      if (error && failed) error.cause = failed.reason;
      if (error) throw error;
      if (failed) throw failed.reason;
    });
  };
}

async function settled(work: () => Promise<void>): Promise<{ reason: unknown } | undefined> {
  try {
    await work();
    return undefined;
  } catch (reason) {
    return { reason };
  }
}

/** Node's `test` with `gpu`. */
export const test = gpuTest();
