/**
 * A loss written outside the package, with its own options: DPO without the pairs whose margin is beyond `cap`. It runs on
 * logits and in a trainer, where its options are settings, and refuses wrong values.
 */
import { expect } from 'chai';
import { DPOTrainer, type Gpu } from 'webalign';
import { InputError } from 'webalign/files';
import { Tensor } from 'webalign/gpu';
import { dpo } from 'webalign/logits';
import { evaluateLoss, type Loss, lossShader, PAIR_METRICS } from 'webalign/losses';
import { requestGpuOf, storyteller } from './place.ts';

const capped: Loss = {
  name: 'capped',
  unit: 'pair',
  shader: lossShader(
    'capped.wgsl',
    `
#include "lib/pairwise.wgsl"

struct Options {
  beta: f32,
  cap: f32,
}

fn loss(pair: Pair, options: Options) -> PairResult {
  let z = options.beta * score_margin(pair);
  let slope = select(0.0, -options.beta * sigmoid(-z), z < options.cap);
  return of_margin(pair, -log_sigmoid(min(z, options.cap)), slope);
}
`,
  ),
  options: {
    beta: { default: 0.1, range: { from: 0, upTo: 10 } },
    cap: { default: 1, range: { from: 0, reason: 'a cap below 0 would leave no pair to learn from' } },
  },
  metrics: PAIR_METRICS,
  divergences: true,
};

/** −log σ(z). */
const logistic = (z: number) => Math.log1p(Math.exp(-z));

describe('outside/loss', () => {
  let gpu: Gpu;
  before(async () => {
    gpu = await requestGpuOf();
  });
  after(() => gpu?.dispose());

  it('follows its formula, on logits, with its options', async () => {
    // One token per completion and a vocabulary of two: log π = −log(1 + e^−l), where l is the difference of the logits.
    const [policy, reference] = [Float32Array.of(4, 0, 0, 1), Float32Array.of(0, 0, 0, 0)];
    const logits = (values: Float32Array) => Tensor.from(gpu, values, [2, 2], 'logits');
    const margin = -logistic(4) + Math.log1p(Math.exp(1));
    for (const [beta, cap] of [
      [0.5, 10],
      [0.5, 0.2],
      [2, 1],
    ] as const) {
      const inputs = {
        policy: logits(policy),
        reference: logits(reference),
        targets: Uint32Array.of(0, 0),
        offsets: Uint32Array.of(0, 1, 2),
      };
      const result = dpo(gpu, inputs, { loss: capped, options: { beta, cap } });
      const z = beta * margin;
      expect(await result.loss()).to.be.closeTo(logistic(Math.min(z, cap)), 1e-6);
      const slope = z < cap ? -beta / (1 + Math.exp(z)) : 0;
      const gradient = await result.gradient.toArray(gpu);
      // d log π(0) / d l₀ = 1 − π(0).
      expect(gradient[0]).to.be.closeTo(slope / (1 + Math.exp(4)), 1e-6);
      expect(gradient[2]).to.be.closeTo(-slope * (1 - 1 / (1 + Math.exp(1))), 1e-6);
      result.dispose();
    }
  });

  it('has the derivative of its values, with any divergence', async () => {
    const options = { beta: 0.5, cap: 0.9, lossType: capped, fDivergence: 'js' };
    const others = { policyRejected: -5, referenceChosen: -4, referenceRejected: -4.5 };
    const at = (policyChosen: number) =>
      evaluateLoss(gpu, {
        loss: 'dpo',
        options,
        pairs: [{ policyChosen, ...others }],
      });
    const [below, middle, above] = [await at(-3 - 1 / 64), await at(-3), await at(-3 + 1 / 64)];
    const slope = (above.loss[0] - below.loss[0]) * 32;
    expect(slope).to.not.equal(0);
    expect(middle.dPolicyChosen![0]).to.be.closeTo(slope, 1e-4);
    // A file cannot contain WGSL code.
    const read = JSON.parse(
      JSON.stringify({ loss: 'dpo', options, pairs: [{ policyChosen: -3, ...others }] }),
    );
    const error = await evaluateLoss(gpu, read).catch((reason) => reason);
    expect(error).to.be.instanceOf(InputError);
  });

  it('trains, and its options are settings with ranges', async () => {
    const { model, tokenizer } = await storyteller(gpu);
    const row = { prompt: 'Once', chosen: ' upon a time.', rejected: ' there.', where: 'row 1' };
    const trainer = (args: object) =>
      new DPOTrainer({
        model,
        processingClass: tokenizer,
        args: { lossType: capped, maxSteps: 2, perDeviceTrainBatchSize: 1, learningRate: 1e-2, ...args },
        peftConfig: { r: 2 },
        trainDataset: [row, row],
      });
    const run = trainer({ cap: 3 });
    expect(run.config).to.include({ cap: 3, beta: 0.1 });
    const losses: number[] = [];
    for await (const event of run.train()) if (event.type === 'step') losses.push(event.metrics.loss);
    expect(losses[0]).to.be.closeTo(Math.LN2, 1e-6);
    expect(losses[1]).to.be.below(losses[0]);
    run.dispose();
    expect(() => trainer({ cap: -1 })).to.throw(
      InputError,
      'a cap below 0 would leave no pair to learn from',
    );
    expect(() => trainer({ cup: 1 })).to.throw(InputError, 'cup');
    model.dispose();
  });
});
