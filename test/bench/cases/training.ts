/**
 * A step of DPO as the trainer runs it, on models of a given shape: a batch of pairs forward and backward, and the
 * optimizer. And the same step on a batch that was packed beforehand, to compare ways of packing.
 */
import { exampleOf, type PackedBatch, packExamples } from '../../../src/data/packing.ts';
import type { Gpu } from '../../../src/gpu/device.ts';
import type { ModelConfig } from '../../../src/io/config.ts';
import type { JsonObject } from '../../../src/io/json.ts';
import { completionLoss } from '../../../src/losses/completion-loss.ts';
import { FAMILIES } from '../../../src/losses/families.ts';
import { lossOf } from '../../../src/losses/family.ts';
import { DeviceBatch } from '../../../src/model/batch.ts';
import { CausalLM } from '../../../src/model/causal-lm.ts';
import type { Kept } from '../../../src/model/decoder.ts';
import { linearShapes } from '../../../src/model/weight-shapes.ts';
import { sequenceSums } from '../../../src/ops/sequence-sum.ts';
import { Tape } from '../../../src/tensor/tape.ts';
import { Tensor } from '../../../src/tensor/tensor.ts';
import { DPO_DEFAULTS, type DPOConfig } from '../../../src/train/config.ts';
import { Optimizer } from '../../../src/train/optimizer.ts';
import { CachedReference } from '../../../src/train/references/cached-reference.ts';
import { logprobs, rowLogprobs } from '../../../src/train/scorer.ts';
import { runBatch, type StepContext } from '../../../src/train/step.ts';
import type { Run, Work } from '../bench.ts';
import { type Pair, randomAdapter, STEP } from '../jobs.ts';
import { randomModel } from '../models.ts';

const CONFIG: DPOConfig = {
  ...DPO_DEFAULTS,
  beta: STEP.beta,
  adamBeta1: STEP.beta1,
  adamBeta2: STEP.beta2,
  adamEpsilon: STEP.epsilon,
  maxGradNorm: 0,
};

interface Training {
  model: CausalLM;
  optimizer: Optimizer;
  /** Steps started so far. */
  steps: number;
  dispose(): void;
}

/** A model of random weights with an adapter that is trained. */
async function training(gpu: Gpu, json: JsonObject, rank: number): Promise<Training> {
  const model = await CausalLM.load(gpu, randomModel(json, 'random'));
  const adapter = model.attach(await randomAdapter(json, rank), { trainable: true });
  const optimizer = new Optimizer(gpu, adapter.parameters!, CONFIG);
  const dispose = () => {
    optimizer.dispose();
    model.dispose();
  };
  return { model, optimizer, steps: 0, dispose };
}

/** The input of a trainer's step. The reference is computed here, before the steps. */
async function contextOf({ model }: Training, pairs: readonly Pair[], kept: Kept = 'float32') {
  const examples = pairs.map(exampleOf);
  const [without] = model.adapters;
  const reference = new CachedReference(model, { without, batchSize: examples.length });
  for await (const _ of reference.prepare(examples));
  const scorer = logprobs().create(model, model.adapters[0].parameters!);
  const loss = lossOf(FAMILIES.dpo, { ...CONFIG });
  const context: StepContext = { model, scorer, loss, reference, kept, filterEps: 0 };
  return { context, examples };
}

/** Steps on these pairs. The result is the losses of the first ones. */
export async function stepRun(
  gpu: Gpu,
  json: JsonObject,
  pairs: readonly Pair[],
  rank: number,
  kept?: Kept,
): Promise<Run> {
  const trained = await training(gpu, json, rank);
  const { context, examples } = await contextOf(trained, pairs, kept);
  const losses: Promise<number>[] = [];
  let last = Promise.resolve(0);
  const start = async () => {
    const { means } = runBatch(gpu, context, examples, examples);
    last = means.then(({ loss }) => loss?.value ?? Number.NaN);
    if (losses.length < STEP.checkedAfter) losses.push(last);
    trained.optimizer.step(++trained.steps, STEP.learningRate);
    await gpu.recorder.throttle();
  };
  const finish = async () => {
    await gpu.finish();
    return last;
  };
  return {
    start,
    finish,
    async result() {
      while (losses.length < STEP.checkedAfter) await start();
      await finish();
      return Float32Array.from(await Promise.all(losses));
    },
    dispose() {
      context.scorer.dispose();
      trained.dispose();
    },
  };
}

/** Kernels of a step on a device that only counts: how many there are, and the sources they are compiled from. */
export async function countStep(gpu: Gpu, json: JsonObject, pairs: readonly Pair[], rank: number) {
  const counting = gpu.countingCopy();
  const trained = await training(counting, json, rank);
  const { context, examples } = await contextOf(trained, pairs);
  const before = counting.wantedPipelines.length;
  runBatch(counting, context, examples, examples);
  trained.optimizer.step(1, 0);
  return counting.wantedPipelines.slice(before);
}

/** Forward and backward on a batch that the caller has packed, without the trainer around it. The result is the mean loss. */
export async function packedRun(gpu: Gpu, json: JsonObject, packed: PackedBatch, rank: number): Promise<Run> {
  const trained = await training(gpu, json, rank);
  const batch = new DeviceBatch(gpu, packed);
  const sequences = packed.sequenceOffsets.length - 1;
  const reference = Tensor.from(gpu, new Float32Array(sequences).fill(-100), [sequences], 'reference');
  const { terms } = lossOf(FAMILIES.dpo, { ...CONFIG });
  let last = Promise.resolve(new ArrayBuffer(4));
  return {
    start() {
      const tape = Tape.forTraining(gpu);
      const sums = sequenceSums(tape, rowLogprobs(tape, trained.model, batch), batch.sequenceOffsets);
      const completions = { sums, reference, offsets: batch.sequenceOffsets };
      const { records } = completionLoss(tape, terms, completions);
      last = gpu.recorder.read(records);
      tape.backward();
      trained.optimizer.step(++trained.steps, 0);
    },
    async finish() {
      await gpu.finish();
      return new Float32Array(await last)[0];
    },
    dispose() {
      gpu.pool.release(reference);
      batch.dispose();
      trained.dispose();
    },
  };
}

/** Operations of a step without LoRA's small products: the linear layers and the head forward and backward, and attention. */
export function stepWork(config: ModelConfig, pairs: readonly Pair[]): Work {
  const packed = packExamples(pairs.map(exampleOf));
  const { hiddenSize, vocabSize, numHiddenLayers, numAttentionHeads, headDim } = config;
  const { qkv: _, ...linears } = linearShapes(config);
  const weights = Object.values(linears).reduce((sum, [out, inputs]) => sum + out * inputs, 0);
  let visible = 0;
  for (let i = 0; i < packed.ids.length; i++) {
    const [prefixStart, prefixEnd, start] = packed.spans.subarray(4 * i) as unknown as number[];
    visible += prefixEnd - prefixStart + i - start + 1;
  }
  const attention = 14 * visible * numAttentionHeads * headDim;
  const layers = numHiddenLayers * (4 * weights * packed.ids.length + attention);
  return {
    flop: layers + 4 * vocabSize * hiddenSize * packed.rows.length,
    tokens: packed.ids.length,
  };
}
