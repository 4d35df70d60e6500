/**
 * The policy gradient on the device compared with the exact one, without sampling: all 85 texts of a model of five tokens
 * as one group, each weighted by its probability, so that the gradient is the expected one. In float64 it is ∇J of
 * objective (1) by enumeration, and by finite differences of J itself.
 */
import { expect } from 'chai';
import type { TokenizedExample } from '../../src/data/packing.ts';
import type { Adapter } from '../../src/io/peft.ts';
import { FAMILIES } from '../../src/losses/families.ts';
import { lossOf } from '../../src/losses/family.ts';
import { freshAdapter } from '../../src/model/lora.ts';
import { logprobs } from '../../src/train/scorer.ts';
import { runBatch } from '../../src/train/step.ts';
import { allTexts, fiveTokens, PROMPT, withAdapter } from '../model/five-tokens.ts';
import { packSequences } from '../model/tiny.ts';
import { random, relativeL2 } from '../reference/compare.ts';
import { type DecoderModel, decoder } from '../reference/decoder.ts';
import { COARSE_PASS } from '../support/coarse.ts';
import { testGpu } from '../support/gpu.ts';

const ENDS = [0];
const BETA = 0.3;
const MODULES = ['q_proj', 'v_proj', 'o_proj', 'gate_proj', 'down_proj'];

/** A reward of each text that looks random. */
const rewardOf = (tokens: readonly number[]) =>
  Math.sin(7 * tokens.reduce((hash, token) => 5 * hash + token, 1));

/** J by all texts, and for each text its probability and return r − β log π/π_ref. */
function enumerated(exact: DecoderModel, adapter: Adapter) {
  const reference = allTexts(exact, ENDS);
  const policy = allTexts(withAdapter(exact, adapter), ENDS);
  const probabilities = policy.map(({ logprob }) => Math.exp(logprob));
  const returns = policy.map(
    ({ tokens, logprob }, y) => rewardOf(tokens) - BETA * (logprob - reference[y]?.logprob),
  );
  const objective = probabilities.reduce((sum, p, y) => sum + p * returns[y], 0);
  return { texts: policy.map(({ tokens }) => tokens), probabilities, returns, objective };
}

async function setup() {
  const gpu = await testGpu();
  const { model, exact } = await fiveTokens(gpu, ENDS);
  const adapter = freshAdapter(
    { r: 2, loraAlpha: 4, targetModules: MODULES, useRslora: false },
    model.targets(MODULES),
    'five',
    3,
  );
  const { normals } = random(8);
  for (const { b } of adapter.weights.values()) b.set(normals(b.length, 0.4));
  return { gpu, model, exact, adapter };
}

describe('rollout: the expected gradient of RLOO', () => {
  it('is the gradient of objective (1), on the device and in float64', async () => {
    const { gpu, model, exact, adapter } = await setup();
    const { texts, probabilities, returns, objective } = enumerated(exact, adapter);
    expect(texts.length).to.equal(85);
    const coefficients = returns.map((value, y) => probabilities[y] * (value - objective));

    const trained = model.attach(adapter, { trainable: true });
    const parameters = trained.parameters!;
    const loss = lossOf(FAMILIES.rloo, { lossType: 'rloo', beta: BETA });
    const scorer = logprobs().create(model, parameters);
    const policy = decoder(
      withAdapter(exact, adapter),
      packSequences(texts.map((completion) => ({ prompt: [...PROMPT], completion }))),
    );
    const example: TokenizedExample = {
      prompt: [...PROMPT],
      completions: texts,
      columns: {
        // The driver takes the mean over completions; this makes it the sum.
        advantage: coefficients.map((value) => texts.length * value),
        oldLogprobs: Float32Array.from(policy.logprob),
      },
    };
    const context = { model, scorer, loss, reference: undefined, kept: 'float32', filterEps: 0 } as const;
    const { means } = runBatch(gpu, context, [example], [example]);
    const gradients = await parameters.read('gradients');
    const { loss: value } = await means;
    // At ratio 1 the loss is −Σ c, which is 0: it contains no information.
    expect(value.value).to.be.closeTo(0, 1e-5);

    const upstream = texts.flatMap(({ length }, y) => Array.from({ length }, () => -coefficients[y]));
    const truth = policy.backward(Float64Array.from(upstream));
    for (const [module, { a, b }] of truth.adapters) {
      expect(relativeL2(gradients.get(`${module}.lora_A`)!, a), `${module} A`).to.be.below(
        1e-5 + COARSE_PASS,
      );
      expect(relativeL2(gradients.get(`${module}.lora_B`)!, b), `${module} B`).to.be.below(
        1e-5 + COARSE_PASS,
      );
    }

    // The same as the change of J itself when a number changes.
    const [module, { b }] = [...adapter.weights][1];
    const kept = b[3];
    const at = (x: number) => {
      b[3] = x;
      // As float32 represents it.
      return [b[3], enumerated(exact, adapter).objective] as [number, number];
    };
    const [[above, more], [below, less]] = [at(kept + 2 ** -13), at(kept - 2 ** -13)];
    const slope = (more - less) / (above - below);
    b[3] = kept;
    expect(-truth.adapters.get(module)!.b[3]).to.be.closeTo(slope, 1e-5);
    scorer.dispose();
    model.dispose();
  });

  it('is 0 if a completion’s ratio is clipped, and follows the ratio otherwise', async () => {
    const { gpu, model, adapter } = await setup();
    const trained = model.attach(adapter, { trainable: true });
    const scorer = logprobs().create(model, trained.parameters!);
    const loss = lossOf(FAMILIES.rloo, { lossType: 'rloo', beta: BETA, epsilon: 0.2, epsilonHigh: 0.3 });
    const completions = [
      [1, 2, 0],
      [4, 0],
      [3, 3, 3],
    ];
    const context = { model, scorer, loss, reference: undefined, kept: 'float32', filterEps: 0 } as const;
    const run = async (shift: number, advantage: number) => {
      trained.parameters!.zeroGradients();
      const rows = completions.flatMap((completion) => completion.map(() => shift / completion.length));
      const scored = await import('../../src/train/measures/sequence-logprobs.ts').then(
        ({ sequenceLogprobs }) =>
          sequenceLogprobs(
            model,
            completions.map((completion) => ({ prompt: [...PROMPT], completion })),
          ),
      );
      const old = scored.flatMap((values) => [...values]).map((value, i) => value - rows[i]);
      const example = {
        prompt: [...PROMPT],
        completions,
        columns: { advantage: completions.map(() => advantage), oldLogprobs: old },
      };
      const { means } = runBatch(gpu, context, [example], [example]);
      const gradients = [...(await trained.parameters!.read('gradients')).values()].flatMap((g) => [...g]);
      return { gradients, means: await means };
    };
    const plain = await run(0, 1);
    // ρ = e^0.2 = 1.22 lies within the upper bound of 1.3, e^0.4 = 1.49 does not.
    const inside = await run(0.2, 1);
    expect(
      relativeL2(
        inside.gradients,
        plain.gradients.map((g) => g * Math.exp(0.2)),
      ),
    ).to.be.below(1e-4 + COARSE_PASS);
    expect(inside.means['clip_ratio/high_mean'].value).to.equal(0);
    const beyond = await run(0.4, 1);
    expect(Math.max(...beyond.gradients.map(Math.abs))).to.equal(0);
    expect(beyond.means['clip_ratio/high_mean'].value).to.equal(1);
    // A bad completion that has become likelier is still made less likely; one that has become unlikely enough is not.
    const worse = await run(0.4, -1);
    expect(
      relativeL2(
        worse.gradients,
        plain.gradients.map((g) => -g * Math.exp(0.4)),
      ),
    ).to.be.below(1e-4 + COARSE_PASS);
    const gone = await run(-0.4, -1);
    expect(Math.max(...gone.gradients.map(Math.abs))).to.equal(0);
    expect(gone.means['clip_ratio/low_mean'].value).to.equal(1);
    scorer.dispose();
    model.dispose();
  });
});
