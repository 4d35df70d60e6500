/**
 * The reference's log-probabilities, token by token, computed once for a dataset and kept by the hash of everything they
 * depend on. The reference is the model itself with the trained adapter switched off, or as it stands before the first step.
 */
import { packExamples, type TokenizedExample } from '../data/packing.ts';
import { contentHash } from '../io/hash.ts';
import type { ReferenceCache } from '../io/reference-cache.ts';
import { DeviceBatch } from '../model/batch.ts';
import type { CausalLM } from '../model/causal-lm.ts';
import { Tape } from '../tensor/tape.ts';
import type { TrainEvent } from './events.ts';
import { rowLogprobs } from './forward.ts';

/** Changes when the way of computing changes, so that no stale value is read. */
const VERSION = 'reference-2';

/** For each example the log-probabilities of its completions' tokens, one completion after the other. */
export type ReferenceLogprobs = readonly Float32Array[];

/** Computes or fetches them, `batchSize` examples at a time, telling how far it is. */
export async function* referenceLogprobs(
  model: CausalLM,
  examples: readonly TokenizedExample[],
  batchSize: number,
  cache?: ReferenceCache,
): AsyncGenerator<TrainEvent, ReferenceLogprobs> {
  const total = examples.length;
  const key = await contentHash(VERSION, await model.policyHash(), JSON.stringify(examples));
  const lengths = examples.map(({ completions }) => completions.reduce((n, { length }) => n + length, 0));
  const wanted = lengths.reduce((a, b) => a + b, 0);
  const kept = await cache?.get(key);
  if (kept?.length === wanted) {
    yield { type: 'reference', done: total, total, cached: true };
    return split(kept, lengths);
  }
  const all = new Float32Array(wanted);
  let filled = 0;
  for (let start = 0; start < total; start += batchSize) {
    const values = await scoreExamples(model, examples.slice(start, start + batchSize));
    all.set(values, filled);
    filled += values.length;
    yield { type: 'reference', done: Math.min(start + batchSize, total), total, cached: false };
  }
  await cache?.put(key, all);
  return split(all, lengths);
}

/** Log-probabilities of all completion tokens of some examples, in packed order. */
async function scoreExamples(model: CausalLM, examples: readonly TokenizedExample[]): Promise<Float32Array> {
  const { gpu } = model;
  const batch = new DeviceBatch(gpu, packExamples(examples));
  const tape = Tape.forInference(gpu);
  const values = gpu.recorder.read(rowLogprobs(tape, model, batch));
  tape.dispose();
  batch.dispose();
  gpu.recorder.flush();
  return new Float32Array(await gpu.settle(values));
}

function split(all: Float32Array, lengths: readonly number[]): ReferenceLogprobs {
  let at = 0;
  return lengths.map((length) => {
    at += length;
    return all.subarray(at - length, at);
  });
}
