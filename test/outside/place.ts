/**
 * Where the tests of this folder run: a device and the model that comes with the package, from the package alone, both in
 * Node and in a page.
 */
import { CausalLM, type Gpu, openSource, requestGpu, Tokenizer } from 'webalign';
import type { Files } from 'webalign/files';
import type { RequestOptions } from 'webalign/gpu';
import type { LoadOptions } from 'webalign/models';

/** Whether the tests run in Node rather than in a browser. */
export const inNode = typeof process === 'object' && typeof process.versions?.node === 'string';

/** A Gpu that the test disposes of; on the test's own device if it passes one. */
export async function requestGpuOf(options: RequestOptions = {}): Promise<Gpu> {
  return inNode
    ? (await import('webalign/node')).requestGpu({ tune: false, ...options })
    : requestGpu(options);
}

/** WebGPU itself, for tests that create a device themselves. */
export async function platformGpu(): Promise<GPU> {
  return inNode ? (await (await import('webalign/node')).requestNodeGpu()).gpu : navigator.gpu;
}

async function embeddedFiles(): Promise<Files> {
  if (inNode) return (await import('webalign/node')).folderFiles('demos/align/model');
  return openSource(new URL('/embedded', location.href), { addressCache: false });
}

/** A Llama of 260,000 weights that writes small stories, with its tokenizer. */
export async function storyteller(
  gpu: Gpu,
  options: LoadOptions = { dtype: 'float32' },
): Promise<{ model: CausalLM; tokenizer: Tokenizer }> {
  const files = await embeddedFiles();
  return {
    model: await CausalLM.load(gpu, files, options),
    tokenizer: await Tokenizer.fromFiles(files),
  };
}
