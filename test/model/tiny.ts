/**
 * The fixture models on the device, and passes through them, for the tests of this folder and of test/train.
 */
import { type PackedBatch, packPairs, packSequences } from '../../src/data/packing.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { type Files, memoryFiles } from '../../src/io/files.ts';
import { toFloat32Bytes } from '../../src/io/float.ts';
import type { Adapter, LoraWeights } from '../../src/io/peft.ts';
import { parseSafetensors, type TensorToWrite, writeSafetensors } from '../../src/io/safetensors.ts';
import { DeviceBatch } from '../../src/model/batch.ts';
import { CausalLM } from '../../src/model/causal-lm.ts';
import type { Decoder, Kept } from '../../src/model/decoder.ts';
import { bytesIn, formatFor, type LoadDtype } from '../../src/model/precision.ts';
import { gather } from '../../src/ops/gather.ts';
import { linear } from '../../src/ops/linear.ts';
import { headLogprobs } from '../../src/ops/token-logprob.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { random } from '../reference/compare.ts';
import { type ModelFixture, tinyLlama } from '../reference/fixtures.ts';
import type { LoraAdapter } from '../reference/linear.ts';
import { argmax } from '../reference/sampling.ts';
import { valuesOf } from '../support/weights.ts';

export function loadFixture(
  gpu: Gpu,
  fixture: ModelFixture = tinyLlama,
  trainable = false,
): Promise<CausalLM> {
  return CausalLM.load(gpu, filesOf(fixture), { trainable });
}

/** A fixture's folder, with some files replaced. */
export function filesOf(fixture: ModelFixture, others: Record<string, Uint8Array<ArrayBuffer>> = {}): Files {
  return memoryFiles({ ...Object.fromEntries(fixture.files), ...others }, 'fixture');
}

/** The folder of tiny-llama, its matrices stored in float32 with the values that they have in another precision. */
export function roundedTo(dtype: LoadDtype): Files {
  const weights = tinyLlama.files.get('model.safetensors')!;
  const { tensors } = parseSafetensors(weights, 'model.safetensors');
  const rounded = [...tensors].map(([name, tensor]): [string, TensorToWrite] => {
    if (tensor.shape.length < 2) return [name, tensor];
    const source = { ...tensor, read: async () => tensor.data };
    const format = formatFor(dtype, source);
    const values = valuesOf(format, bytesIn(format, source, tensor.data) as Uint8Array<ArrayBuffer>);
    return [name, { ...tensor, dtype: 'F32', data: toFloat32Bytes(values) }];
  });
  return filesOf(tinyLlama, { 'model.safetensors': writeSafetensors(new Map(rounded)) });
}

/** An adapter of the reference in the form of the model on the device. */
export function productAdapter(
  model: CausalLM,
  adapters: ReadonlyMap<string, LoraAdapter>,
  loraAlpha: number,
): Adapter {
  const { linears } = model;
  const weights = new Map<string, LoraWeights>();
  for (const [module, { a, b, rank }] of adapters) {
    const shape = linears.get(module);
    if (!shape) throw new Error(`the fixture has no ${module}`);
    weights.set(module, { ...shape, r: rank, a: Float32Array.from(a), b: Float32Array.from(b) });
  }
  const r = [...adapters.values()][0].rank;
  const targetModules = [
    ...new Set([...adapters.keys()].map((name) => name.slice(name.lastIndexOf('.') + 1))),
  ];
  return { config: { r, loraAlpha, targetModules, useRslora: false }, baseModel: 'fixture', weights };
}

/** Token log-probabilities of a batch, and with `upstream` the gradients of Σ upstream · logprobs in the parameters. */
export async function pass(
  gpu: Gpu,
  model: Decoder & Partial<Pick<CausalLM, 'trainedTables'>>,
  packed: PackedBatch,
  upstream?: Float32Array,
  kept?: Kept,
): Promise<Float32Array> {
  const batch = new DeviceBatch(gpu, packed, model.trainedTables);
  const tape = upstream ? Tape.forTraining(gpu) : Tape.forInference(gpu);
  const rows = gather(tape, model.hidden(tape, batch, kept), batch.lossRows, model.logitScale);
  const { logitSoftCap } = model.config;
  const { logprobs } = headLogprobs(tape, rows, model.head, batch.targets, { softCap: logitSoftCap });
  const values = gpu.recorder.read(logprobs);
  if (upstream) {
    const given = Tensor.from(gpu, upstream, [upstream.length], 'upstream');
    logprobs.grad = given;
    tape.backward();
    gpu.pool.release(given);
  }
  tape.dispose();
  batch.dispose();
  gpu.recorder.flush();
  return new Float32Array(await gpu.settle(values));
}

/** Logits after the last token of each sequence, from all its tokens at once. */
export async function lastLogits(
  gpu: Gpu,
  model: CausalLM,
  sequences: readonly (readonly number[])[],
): Promise<Float32Array[]> {
  const packed = packSequences(sequences.map((prompt) => ({ prompt: [...prompt], completion: [] })));
  const batch = new DeviceBatch(gpu, packed);
  const tape = Tape.forInference(gpu);
  const { logitScale: scale } = model;
  const { logitSoftCap: cap, vocabSize: V } = model.config;
  const plain = await linear(tape, model.hidden(tape, batch), model.head, { scale }).toArray(gpu);
  const logits = cap === undefined ? plain : plain.map((logit) => cap * Math.tanh(logit / cap));
  tape.dispose();
  batch.dispose();
  let end = 0;
  return sequences.map(({ length }) => {
    end += length;
    return logits.subarray((end - 1) * V, end * V);
  });
}

/** Greedy tokens without a cache. */
export async function greedy(
  gpu: Gpu,
  model: CausalLM,
  from: readonly (readonly number[])[],
  count: number,
): Promise<number[][]> {
  const sequences = from.map((prompt) => [...prompt]);
  for (let step = 0; step < count; step++) {
    const logits = await lastLogits(gpu, model, sequences);
    for (const [i, row] of logits.entries()) sequences[i].push(argmax(row));
  }
  return sequences.map((ids, i) => ids.slice(from[i].length));
}

/** Pairs of random ids: prompts of 1 to 7 tokens, completions of 1 to 9. */
export function randomPairs(count: number, seed: number, vocabulary = tinyLlama.config.vocabSize) {
  const { int, ints } = random(seed);
  const ids = (most: number) => [...ints(1 + int(most), vocabulary)];
  return Array.from({ length: count }, () => ({ prompt: ids(7), chosen: ids(9), rejected: ids(9) }));
}

/** Prompts of odd lengths, one of them a single token. */
export function oddPrompts(seed = 1, vocabulary = tinyLlama.config.vocabSize): number[][] {
  const { ints } = random(seed);
  return [6, 1, 13, 3, 1, 31].map((length) => [...ints(length, vocabulary)]);
}

export { packPairs, packSequences };
