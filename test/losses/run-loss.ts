/**
 * Runs a loss on the device from plain columns of numbers, between guard regions, and reads back records and
 * derivative. Computes nothing itself.
 */
import type { Gpu } from '../../src/gpu/device.ts';
import { completionLoss } from '../../src/losses/completion-loss.ts';
import type { Divergence } from '../../src/losses/divergences.ts';
import type { Loss } from '../../src/losses/loss.ts';
import { unitOf } from '../../src/losses/units.ts';

import { Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import type { Reals } from '../reference/arrays.ts';
import type { LabelledLogprobs, PairLogprobs } from '../reference/losses.ts';
import { testGpu } from '../support/gpu.ts';
import { guards } from '../support/guard.ts';

interface RunOptions {
  /** The tests' shared device by default. */
  gpu?: Gpu;
  scale?: number;
  divergence?: Divergence;
}

/** `column(i)` of the records, and d sum of losses / d each completion, times `scale` (1). */
async function run(
  loss: Loss,
  options: Readonly<Record<string, number>>,
  columns: {
    sums: Float32Array;
    reference: Float32Array;
    tokens: Reals;
    labels?: Float32Array;
    margin?: Float32Array;
  },
  { gpu: device, scale = 1, divergence }: RunOptions,
) {
  const { gpu, check } = guards(device ?? (await testGpu()));
  const count = columns.sums.length;
  const offsets = new Uint32Array(count + 1);
  for (let s = 0; s < count; s++) offsets[s + 1] = offsets[s] + columns.tokens[s];
  const completions = {
    sums: Tensor.from(gpu, columns.sums, [count], 'sums'),
    reference: Tensor.from(gpu, columns.reference, [count], 'reference'),
    offsets: Tensor.from(gpu, offsets, [count + 1], 'offsets'),
  };
  const desirable = columns.labels && Tensor.from(gpu, columns.labels, [columns.labels.length], 'labels');
  const margin = columns.margin && Tensor.from(gpu, columns.margin, [columns.margin.length], 'margin');
  completions.sums.requiresGrad = true;
  const tape = Tape.forTraining(gpu);
  const { records } = completionLoss(
    tape,
    [{ loss, options }],
    { ...completions, columns: { ...(desirable && { desirable }), ...(margin && { margin }) } },
    { scale, divergence },
  );
  const table = await records.toArray(gpu);
  const derivative = await (completions.sums.grad as unknown as Tensor).toArray(gpu);
  await check();
  const { width } = unitOf(loss);
  return {
    column: (index: number) => table.filter((_, i) => i % width === index),
    losses: table.filter((_, i) => i % width === 0),
    derivative,
  };
}

/** Runs a loss on pairs; the derivative is returned as `dchosen` and `drejected`. Completions have three tokens by default. */
export async function runPairs(
  loss: Loss,
  pairs: PairLogprobs,
  options: Readonly<Record<string, number>>,
  settings: RunOptions = {},
) {
  const count = pairs.policyChosen.length;
  const threes = new Float32Array(count).fill(3);
  const interleaved = (chosen: Reals, rejected: Reals) =>
    Float32Array.from({ length: 2 * count }, (_, s) => (s % 2 ? rejected : chosen)[s >> 1]);
  const { derivative, ...records } = await run(
    loss,
    options,
    {
      sums: interleaved(pairs.policyChosen, pairs.policyRejected),
      reference: interleaved(pairs.referenceChosen, pairs.referenceRejected),
      tokens: interleaved(pairs.chosenTokens ?? threes, pairs.rejectedTokens ?? threes),
      margin: Float32Array.from(pairs.margin ?? new Float32Array(count)),
    },
    settings,
  );
  return {
    ...records,
    dchosen: derivative.filter((_, s) => s % 2 === 0),
    drejected: derivative.filter((_, s) => s % 2 === 1),
  };
}

/** Runs a loss on labeled completions; `klRatios` are the log-ratios of the mismatched ones, for losses with a baseline. */
export async function runLabelled(
  loss: Loss,
  examples: LabelledLogprobs,
  options: Readonly<Record<string, number>>,
  klRatios?: Reals,
) {
  const stride = unitOf(loss).completions;
  const spread = (values: Reals, others?: Reals) =>
    Float32Array.from({ length: stride * values.length }, (_, s) =>
      s % stride ? (others?.[s >> 1] ?? 0) : values[Math.floor(s / stride)],
    );
  const ones = new Float32Array(examples.policy.length).fill(1);
  const { derivative, ...records } = await run(
    loss,
    options,
    {
      sums: spread(examples.policy, klRatios),
      reference: spread(examples.reference),
      tokens: spread(examples.tokens ?? ones, ones),
      labels: Float32Array.from(examples.desirable, Number),
    },
    {},
  );
  return {
    ...records,
    dcompletion: derivative.filter((_, s) => s % stride === 0),
    dmismatched: derivative.filter((_, s) => s % stride === 1),
  };
}
