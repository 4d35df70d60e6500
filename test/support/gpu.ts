/**
 * The device that tests share: one for the whole run, under Dawn in Node or the browser's own. Without one, every test that
 * requests it fails; nothing is skipped because a GPU is missing.
 */
import { Gpu } from '../../src/gpu/device.ts';
import { requireVariants } from '../../src/ops/variants.ts';
import { narrowAdapter } from '../../src/testing/narrowed.ts';

/** Whether the tests run in Node or Deno and not in a browser. */
export const inNode = typeof process === 'object' && typeof process.versions?.node === 'string';

let shared: Promise<Gpu> | undefined;

/** The shared device. A test that breaks or loses its device requests its own: {@link freshGpu}. */
export function testGpu(): Promise<Gpu> {
  shared ??= freshGpu();
  return shared;
}

/** A device of the test's own, which it disposes of. Throws if it cannot run a variant that the suite must use. */
export async function freshGpu(options?: Parameters<typeof Gpu.request>[1]): Promise<Gpu> {
  const gpu = await Gpu.request(await platformGpu(), { variants: globalThis.testVariants, ...options });
  requireVariants(gpu);
  return gpu;
}

/** `navigator.gpu`, or what stands for it in Node, with no more than the run's devices may have. */
export async function platformGpu(): Promise<GPU> {
  const source = globalThis.navigator?.gpu ?? (await nodeGpu());
  const capabilities = globalThis.testCapabilities;
  if (!capabilities?.limits && !capabilities?.features) return source;
  const requestAdapter: GPU['requestAdapter'] = async (options) => {
    const adapter = await source.requestAdapter(options);
    return adapter && narrowAdapter(adapter, capabilities);
  };
  return Object.create(source, { requestAdapter: { value: requestAdapter } }) as GPU;
}

async function nodeGpu(): Promise<GPU> {
  const { requestNodeGpu } = await import('../../src/node/adapter.ts');
  return (await requestNodeGpu()).gpu;
}
