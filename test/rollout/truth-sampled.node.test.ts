/**
 * Thousands of rollouts compared with enumeration: how often each text is drawn, and whether the policy gradient of sampled
 * groups, from the sampler through rewards, penalty and advantages to the adapter's gradient, is that of objective (1) on
 * average. Only in Node, because it takes longest.
 */
import { expect } from 'chai';
import { Tokenizer } from '../../src/data/tokenizer.ts';
import { memoryFiles } from '../../src/io/files.ts';
import type { BatchReward } from '../../src/rollout/rewards.ts';
import { RLOOTrainer } from '../../src/rollout/rloo-trainer.ts';
import type { ExampleSource } from '../../src/train/source.ts';
import { runBatch, type StepContext } from '../../src/train/step.ts';
import { allTexts, fiveTokens, LONGEST, PROMPT, withAdapter } from '../model/five-tokens.ts';
import { packSequences } from '../model/tiny.ts';
import { random } from '../reference/compare.ts';
import { decoder } from '../reference/decoder.ts';
import { belowChiSquareBound, chiSquare } from '../support/chi-square.ts';
import { isCoarse } from '../support/coarse.ts';
import { testGpu } from '../support/gpu.ts';

const ENDS = [0];
const BETA = 0.3;
const MODULES = ['q_proj', 'v_proj', 'o_proj', 'gate_proj', 'down_proj'];
const BATCHES = 50;
const GROUPS = 40;
const GENERATIONS = 4;
const DIRECTIONS = 8;
/** Quantile of the distribution F(8, 42) that is exceeded once in a thousand times. */
const F_BOUND = 4.15;

/** It looks random, with a mean that a baseline has to remove. */
const rewardOf = (tokens: readonly number[]) =>
  1 + Math.sin(7 * tokens.reduce((hash, token) => 5 * hash + token, 1));

const reward: BatchReward = ({ completionIds }) => completionIds.map(rewardOf);

/** The arguments that a trainer passes to its loop. */
interface TrainerParts {
  task: { source: ExampleSource };
  context: StepContext;
}

/** The words of the five tokens. */
const WORDS = memoryFiles({
  'tokenizer.json': JSON.stringify({
    model: { type: 'WordLevel', vocab: { a: 0, b: 1, c: 2, d: 3, e: 4 }, unk_token: 'a' },
    pre_tokenizer: { type: 'Whitespace' },
    normalizer: null,
    post_processor: null,
    decoder: null,
    added_tokens: [],
  }),
});

describe('truth: the sampled gradient', () => {
  it(`of ${BATCHES} batches of ${GROUPS} groups is that of objective (1)`, async () => {
    const gpu = await testGpu();
    const { model, exact } = await fiveTokens(gpu, ENDS);
    const trainer = new RLOOTrainer({
      model,
      processingClass: await Tokenizer.fromFiles(WORDS),
      rewardFuncs: reward,
      args: {
        perDeviceTrainBatchSize: GROUPS * GENERATIONS,
        numGenerations: GENERATIONS,
        maxCompletionLength: LONGEST,
        beta: BETA,
        maxSteps: BATCHES,
        seed: 17,
      },
      trainDataset: Array.from({ length: GROUPS }, () => ({ prompt: 'd b e' })),
      peftConfig: { r: 2, loraAlpha: 4, targetModules: MODULES },
    });
    const { task, context } = trainer as unknown as TrainerParts;
    const trained = trainer.adapter!;
    const parameters = trained.parameters!;
    // A new adapter has no effect; this one has moved away from the reference.
    const { normals } = random(8);
    const values = await parameters.read('values');
    for (const [name, numbers] of values)
      if (name.endsWith('lora_B')) numbers.set(normals(numbers.length, 0.4));
    parameters.write('values', values);
    const adapter = await trained.toAdapter();

    // The exact values: all texts, each with its share of the gradient.
    const reference = allTexts(exact, ENDS);
    const policy = allTexts(withAdapter(exact, adapter), ENDS);
    const probabilities = policy.map(({ logprob }) => Math.exp(logprob));
    const returns = policy.map(
      ({ tokens, logprob }, y) => rewardOf(tokens) - BETA * (logprob - reference[y]?.logprob),
    );
    const objective = probabilities.reduce((sum, p, y) => sum + p * returns[y], 0);
    const upstream = policy.flatMap(({ tokens }, y) =>
      tokens.map(() => probabilities[y] * (returns[y] - objective)),
    );
    const truth = decoder(
      withAdapter(exact, adapter),
      packSequences(policy.map(({ tokens }) => ({ prompt: [...PROMPT], completion: tokens }))),
    ).backward(Float64Array.from(upstream)).adapters;

    const names = [...parameters.tensors.keys()];
    const slope = (name: string) => {
      const [, module, side] = /^(.*)\.lora_([AB])$/.exec(name) as unknown as [string, string, 'A' | 'B'];
      const { a, b } = truth.get(module)!;
      return side === 'A' ? a : b;
    };
    const draw = random(31);
    const directions = Array.from({ length: DIRECTIONS }, () =>
      names.map((name) => draw.normals(slope(name).length)),
    );
    const along = (values: readonly ArrayLike<number>[]) =>
      directions.map((direction) =>
        direction.reduce((sum, each, i) => sum + each.reduce((s, u, j) => s + u * values[i][j], 0), 0),
      );
    const slopes = along(names.map(slope));

    // The same from rollouts, batch after batch with the same weights.
    const places = new Map(policy.map(({ tokens }, y) => [tokens.join(), y]));
    const counts = policy.map(() => 0);
    const found: number[][] = [];
    for (let step = 1; step <= BATCHES; step++) {
      const rollouts = task.source.step(step, context);
      let next = await rollouts.next();
      while (!next.done) next = await rollouts.next();
      const { examples, silent = [] } = next.value!;
      const all = [...examples, ...silent];
      for (const { completions } of all)
        for (const completion of completions) counts[places.get([...completion].join())!]++;
      const { means } = runBatch(gpu, context, examples, all);
      const gradients = await parameters.read('gradients');
      await means;
      parameters.zeroGradients();
      // The loss falls where J rises.
      found.push(along(names.map((name) => gradients.get(name)!.map((g) => -g))));
    }
    trainer.dispose();
    model.dispose();

    if (!isCoarse) belowChiSquareBound(chiSquare(counts, probabilities));
    const { means, covariance } = moments(found);
    const errors = means.map((mean, i) => mean - slopes[i]);
    const ratios: number[] = [];
    for (const [i, error] of errors.entries()) {
      const standardError = Math.sqrt(covariance[i]?.[i] / BATCHES);
      expect(Math.abs(error), `direction ${i}`).to.be.below(4 * standardError);
      ratios.push(Math.abs(slopes[i]) / standardError);
    }
    // Gradients smaller than their noise would prove nothing.
    expect(Math.max(...ratios)).to.be.above(20);
    // All of them together; they are not independent (Hotelling's T²).
    const distance = BATCHES * dot(errors, solve(covariance, errors));
    const bound = ((BATCHES - 1) * DIRECTIONS * F_BOUND) / (BATCHES - DIRECTIONS);
    expect(distance, 'all directions').to.be.below(bound);
  });
});

const dot = (a: readonly number[], b: readonly number[]) =>
  a.reduce((sum, value, i) => sum + value * b[i], 0);

/** Means of the columns, and their covariance. */
function moments(rows: readonly (readonly number[])[]): { means: number[]; covariance: number[][] } {
  const columns = rows[0].map((_, i) => rows.map((row) => row[i]));
  const means = columns.map((values) => values.reduce((a, b) => a + b, 0) / values.length);
  const centered = columns.map((values, i) => values.map((value) => value - means[i]));
  return { means, covariance: centered.map((a) => centered.map((b) => dot(a, b) / (rows.length - 1))) };
}

/** matrix⁻¹ vector of a symmetric positive matrix, by elimination. */
function solve(matrix: readonly (readonly number[])[], vector: readonly number[]): number[] {
  const rows = matrix.map((row, i) => [...row, vector[i]]);
  rows.forEach((pivot, i) => {
    rows.forEach((row, j) => {
      if (j === i) return;
      const factor = row[i] / pivot[i];
      for (let k = i; k < row.length; k++) row[k] = row[k] - factor * pivot[k];
    });
  });
  return rows.map((row, i) => row.at(-1)! / row[i]);
}
