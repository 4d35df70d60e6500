/**
 * ONNX Runtime Web as a contestant, on its WebGPU backend: the engine of Transformers.js, used as Transformers.js uses it.
 * The cache of keys and values stays on the GPU between calls, logits are read back, and the likeliest token is chosen here.
 */

import wasm from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm';
import * as ort from 'onnxruntime-web/webgpu';
import type { JobOf, Peer, Run } from '../bench.ts';
import { dependencies } from '../package.json';
import { decoderGraph } from './onnx.ts';

type Cache = Record<string, ort.Tensor>;

const int32 = (values: number[]) => new ort.Tensor('int32', Int32Array.from(values), [values.length]);
const int64 = (values: readonly number[], shape: number[]) =>
  new ort.Tensor('int64', BigInt64Array.from(values, BigInt), shape);

function likeliest(logits: Float32Array, row: number, count: number): number {
  let best = row * count;
  for (let i = best; i < (row + 1) * count; i++) if (logits[i] > logits[best]) best = i;
  return best - row * count;
}

async function writing(job: JobOf<'writing'>): Promise<Run> {
  const { config, prompts, newTokens } = job;
  const { numHiddenLayers, numKeyValueHeads, headDim, vocabSize } = config;
  const length = prompts[0].length;
  const names = Array.from({ length: numHiddenLayers }, (_, i) => [`${i}.key`, `${i}.value`]).flat();
  const session = await ort.InferenceSession.create(decoderGraph(job, length + newTokens), {
    executionProviders: ['webgpu'],
    preferredOutputLocation: Object.fromEntries(
      names.map((name) => [`present.${name}`, 'gpu-buffer' as const]),
    ),
  });
  const emptyCache = (): Cache => {
    const shape = [prompts.length, numKeyValueHeads, 0, headDim];
    return Object.fromEntries(
      names.map((name) => [`past.${name}`, new ort.Tensor('float32', new Float32Array(), shape)]),
    );
  };
  let written: number[][] = [];
  return {
    async start() {
      written = prompts.map(() => []);
      let cache = emptyCache();
      let ids = int64(prompts.flat(), [prompts.length, length]);
      for (let step = 0; step < newTokens; step++) {
        const total = length + step;
        const results = await session.run({
          input_ids: ids,
          seqlens_k: int32(prompts.map(() => total - 1)),
          total_sequence_length: int32([total]),
          ...cache,
        });
        for (const tensor of Object.values(cache)) tensor.dispose();
        cache = Object.fromEntries(names.map((name) => [`past.${name}`, results[`present.${name}`]]));
        const logits = results.logits.data as Float32Array;
        const next = prompts.map((_, row) => likeliest(logits, row, vocabSize));
        for (const [row, id] of next.entries()) written[row].push(id);
        ids = int64(next, [prompts.length, 1]);
      }
      for (const tensor of Object.values(cache)) tensor.dispose();
    },
    finish: async () => written[0][0],
    result: async () => Float32Array.from(written.flat()),
    dispose: () => void session.release(),
  };
}

export const name = 'ONNX Runtime Web';
export const version = dependencies['onnxruntime-web'];

export async function open(): Promise<Peer> {
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = { wasm: new URL(wasm, import.meta.url).href };
  return {
    get device() {
      return ort.env.webgpu.device as unknown as GPUDevice;
    },
    make: { writing },
    // The runtime keeps its device until the page is closed.
    dispose: () => undefined,
  };
}
