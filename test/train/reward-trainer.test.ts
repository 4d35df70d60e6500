/**
 * The training of reward models: Bradley–Terry scores are recovered where they are known, metrics have TRL's names, rows
 * come in every form, the right token is scored, and runs repeat and resume bit for bit.
 */
import { expect } from 'chai';
import type { Comparison } from '../../src/data/comparison-dataset.ts';
import { memoryCheckpointStore } from '../../src/io/checkpoint.ts';
import { batchLoss } from '../../src/losses/batch-loss.ts';
import { FAMILIES } from '../../src/losses/families.ts';
import type { CausalLM } from '../../src/model/causal-lm.ts';
import { linear } from '../../src/ops/linear.ts';
import { ParameterStore } from '../../src/tensor/parameters.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { REWARD_DEFAULTS, resolveLoss } from '../../src/train/config.ts';
import { Optimizer } from '../../src/train/optimizer.ts';
import { RewardTrainer } from '../../src/train/reward-trainer.ts';
import { expectRefused } from '../io/refused.ts';
import { loadFixture, randomPairs } from '../model/tiny.ts';
import { random } from '../reference/compare.ts';
import { testGpu } from '../support/gpu.ts';
import { eachStep, LORA, trained } from './runs.ts';

/** The true scores of the five items: `default_rng(0).normal(size=5) * 1.5`. */
const REWARDS = [0.18859533, -0.19815729, 0.9606339, 0.15735018, -0.80350406];
const ITEMS = REWARDS.length;
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
const centered = (values: readonly number[]) => values.map((value) => value - mean(values));

/** [i, j]: i was chosen over j. */
const ORDERED = REWARDS.flatMap((_, i) => REWARDS.flatMap((_, j) => (i === j ? [] : [[i, j] as const])));

/** A free score for each item, fitted to weighted comparisons by the device's loss and the trainers' optimizer. */
async function fitted(weights: readonly number[], { center = 0, margin = 0, steps = 300 } = {}) {
  const gpu = await testGpu();
  // Rows of a table have at least four numbers; the fifth score is in a second column block.
  const width = 8;
  const store = new ParameterStore(gpu, [
    { name: 'scores', shape: [1, width], values: new Float32Array(width).fill(0.7) },
  ]);
  const loss = resolveLoss(FAMILIES.reward, {
    lossType: FAMILIES.reward.lossType,
    centerRewardsCoefficient: center,
  });
  const config = { ...REWARD_DEFAULTS, maxGradNorm: 0 };
  const optimizer = new Optimizer(gpu, store, config);
  const offsets = Tensor.from(gpu, Uint32Array.from([0, 1, 2]), [3], 'offsets');
  const margins = Tensor.from(gpu, Float32Array.from([margin]), [1], 'margin');
  const rows = ORDERED.map((pair) => {
    const values = new Float32Array(2 * width);
    for (const [row, item] of pair.entries()) values[row * width + item] = 1;
    return Tensor.from(gpu, values, [2, width], 'one-hot');
  });
  for (let step = 1; step <= steps; step++) {
    const tape = Tape.forTraining(gpu);
    for (const [p, scale] of weights.entries()) {
      const values = linear(tape, rows[p], store.get('scores'));
      const share = { scale, lengths: { batch: [1, 1], step: [1, 1] } };
      batchLoss(tape, loss, { values, offsets, columns: { margin: margins } }, share);
    }
    tape.backward();
    optimizer.step(step, 0.05 * (1 - (step - 1) / steps)).catch(() => undefined);
    await gpu.settle(gpu.recorder.throttle());
  }
  const scores = [...(await store.read('values')).get('scores')!.subarray(0, ITEMS)];
  for (const tensor of [offsets, margins, ...rows]) gpu.pool.release(tensor);
  optimizer.dispose();
  store.dispose();
  return scores;
}

/** The ratio of the fitted differences to the true ones. */
function slope(scores: readonly number[]): number {
  const [s, t] = [centered(scores), centered(REWARDS)];
  const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, x, i) => sum + x * b[i], 0);
  return dot(s, t) / dot(t, t);
}

const POPULATION = ORDERED.map(([i, j]) => sigmoid(REWARDS[i] - REWARDS[j]) / (ITEMS * (ITEMS - 1)));

describe('train/reward-trainer: Bradley–Terry', function () {
  this.timeout(120_000);

  // Slopes by the float64 minimum of the same population (shared design, rmfit.py).
  for (const [center, margin, expected] of [
    [0, 0, 1],
    [0.01, 0, 0.936],
    [0.1, 0, 0.618],
    [0, 0.5, 1.268],
  ] as const) {
    it(`recovers the population's rewards with centering ${center} and margin ${margin}`, async () => {
      const scores = await fitted(POPULATION, { center, margin });
      // Three digits of the slope are known.
      expect(slope(scores)).to.be.closeTo(expected, 6e-4);
      if (center > 0) expect(mean(scores)).to.be.closeTo(0, 1e-3);
      if (center > 0 || margin > 0) return;
      for (const [i, value] of centered(scores).entries())
        expect(value).to.be.closeTo(centered(REWARDS)[i], 1e-3);
    });
  }

  it('recovers rewards from sampled labels within four standard errors', async () => {
    const labels = 300;
    const { uniform } = random(5);
    const wins = ORDERED.map(() => 0);
    const place = (i: number, j: number) => ORDERED.findIndex(([a, b]) => a === i && b === j);
    const laplacian = Array.from({ length: ITEMS }, () => new Array<number>(ITEMS).fill(0));
    for (let i = 0; i < ITEMS; i++) {
      for (let j = i + 1; j < ITEMS; j++) {
        const p = sigmoid(REWARDS[i] - REWARDS[j]);
        for (let n = 0; n < labels; n++) wins[uniform() < p ? place(i, j) : place(j, i)]++;
        const information = labels * p * (1 - p);
        for (const [a, b, sign] of [
          [i, i, 1],
          [j, j, 1],
          [i, j, -1],
          [j, i, -1],
        ] as const)
          laplacian[a][b] += sign * information;
      }
    }
    const total = wins.reduce((a, b) => a + b, 0);
    const scores = await fitted(wins.map((count) => count / total));
    const covariance = pseudoInverse(laplacian);
    for (const [i, j] of ORDERED) {
      const variance = covariance[i][i] + covariance[j][j] - 2 * covariance[i][j];
      const error = scores[i] - scores[j] - (REWARDS[i] - REWARDS[j]);
      expect(Math.abs(error), `${i} − ${j}`).to.be.below(4 * Math.sqrt(variance));
    }
  });
});

/** Of a graph's Laplacian: the inverse of L + J/n, less J/n. */
function pseudoInverse(matrix: readonly (readonly number[])[]): number[][] {
  const n = matrix.length;
  const rows = matrix.map((row, i) => [
    ...row.map((value) => value + 1 / n),
    ...row.map((_, j) => (i === j ? 1 : 0)),
  ]);
  for (let c = 0; c < n; c++) {
    const pivot = rows[c][c];
    rows[c] = rows[c].map((value) => value / pivot);
    for (let r = 0; r < n; r++) {
      if (r === c) continue;
      const factor = rows[r][c];
      rows[r] = rows[r].map((value, k) => value - factor * rows[c][k]);
    }
  }
  return rows.map((row) => row.slice(n).map((value) => value - 1 / n));
}

const SIDES = randomPairs(10, 31);
const ROWS: Comparison[] = SIDES.map(({ prompt, chosen, rejected }, i) => ({
  prompt,
  chosen: [...chosen, 3],
  rejected: [...rejected, 4],
  ...(i % 2 ? { margin: 0.5 } : {}),
}));
const ARGS = {
  learningRate: 1e-2,
  perDeviceTrainBatchSize: 4,
  maxSteps: 12,
  saveSteps: 1,
  evalSteps: 4,
  centerRewardsCoefficient: 0.01,
};

describe('train/reward-trainer', function () {
  this.timeout(120_000);
  const start =
    (more: object = {}, checkpoint = memoryCheckpointStore()) =>
    (model: CausalLM) =>
      new RewardTrainer({
        model,
        peftConfig: LORA,
        args: ARGS,
        trainDataset: ROWS,
        evalDataset: ROWS.slice(0, 4),
        checkpoint,
        ...more,
      }) as never;

  it("learns, logs TRL's metrics, and resumes with the same bytes", async () => {
    const gpu = await testGpu();
    const whole = await trained(gpu, start());
    const losses = eachStep(whole.events, 'loss');
    expect(losses[0]).to.be.within(0.4, 1.2);
    expect(losses.at(-1)).to.be.below(0.5);
    const [first] = whole.log;
    expect(first?.metrics).to.have.all.keys(
      'loss',
      'min_reward',
      'mean_reward',
      'max_reward',
      'accuracy',
      'margin',
      'grad_norm',
      'learning_rate',
      'num_tokens',
    );
    const {
      min_reward: least,
      mean_reward: middle,
      max_reward: most,
    } = first.metrics as Record<string, number>;
    expect(least).to.be.below(middle);
    expect(middle).to.be.below(most);
    expect(whole.log.at(-1)?.metrics).to.include({ eval_accuracy: 1 });

    const again = await trained(gpu, start());
    expect(again.bytes).to.deep.equal(whole.bytes);
    const store = memoryCheckpointStore();
    await trained(gpu, start({}, store), 5);
    const resumed = await trained(gpu, start({}, store));
    expect(resumed.bytes).to.deep.equal(whole.bytes);
    expect(resumed.log).to.deep.equal(whole.log);
  });

  it('continues an adapter with its head', async () => {
    const gpu = await testGpu();
    const model = await loadFixture(gpu);
    const make = (peftConfig: object, learningRate: number) =>
      new RewardTrainer({
        model,
        peftConfig: peftConfig as never,
        args: { ...ARGS, learningRate, maxSteps: 4, saveSteps: 0 },
        trainDataset: ROWS,
      });
    const trainer = make(LORA, 1e-2);
    for await (const _ of trainer.train());
    const adapter = await trainer.adapter!.toAdapter();
    trainer.dispose();
    model.detach(trainer.adapter!);
    expect(adapter.head).to.have.length(model.config.hiddenSize);
    const still = make(adapter, 0);
    for await (const _ of still.train());
    const same = await still.adapter!.toAdapter();
    still.dispose();
    expect(same.head).to.deep.equal(adapter.head);
    expect(same.weights).to.deep.equal(adapter.weights);
    model.dispose();
  });

  const refusals: [string, object, string[]][] = [
    ['no rows', { trainDataset: [] }, ['no rows']],
    ['an empty side', { trainDataset: [{ prompt: [], chosen: [], rejected: [1] }] }, ['row 1']],
    [
      'ids that the model does not have',
      { trainDataset: [{ prompt: [1], chosen: [2], rejected: [97] }] },
      ['row 1', '97'],
    ],
    [
      'a margin that is no number',
      { trainDataset: [{ prompt: [1], chosen: [2], rejected: [3], margin: Number.NaN }] },
      ['row 1', 'margin'],
    ],
    [
      'text without a tokenizer',
      { trainDataset: [{ prompt: 'a', chosen: 'b', rejected: 'c' }] },
      ['row 1', 'tokenizer'],
    ],
    ['pairs that are all too long', { args: { maxLength: 2 } }, ['maxLength', '2 tokens']],
    ['a coefficient below 0', { args: { centerRewardsCoefficient: -1 } }, ['centerRewardsCoefficient', '-1']],
    ['an unknown rule', { args: { scoredToken: 'first' } }, ['scoredToken', 'last_non_pad']],
    ['all weights', { peftConfig: null }, ['needs an adapter']],
  ];
  for (const [what, more, words] of refusals) {
    it(`refuses ${what}`, async () => {
      const model = await loadFixture(await testGpu());
      await expectRefused(() => start(more)(model), ...words);
      model.dispose();
    });
  }

  it('drops a pair with a side that is too long, with a notice', async () => {
    const model = await loadFixture(await testGpu());
    const long = { prompt: [5], chosen: new Array<number>(40).fill(6), rejected: [7] };
    const trainer = new RewardTrainer({
      model,
      peftConfig: LORA,
      args: { maxLength: 24 },
      trainDataset: [...ROWS, long],
    });
    expect(trainer.notices).to.deep.equal([
      'Row 11: a side is longer than max_length 24; the pair is dropped.',
    ]);
    expect((await trainer.plan()).examples).to.equal(10);
    trainer.dispose();
    model.dispose();
  });
});
