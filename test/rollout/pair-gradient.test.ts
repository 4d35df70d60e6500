/**
 * The gradients of online DPO and of A*-PO on the device compared with exact ones, without sampling: all pairs of texts of
 * a model of five tokens, or all texts, each weighted by its probability. In float64 the expectation is known, and for
 * A*-PO it is −2β∇J.
 */
import { expect } from 'chai';
import type { TokenizedExample } from '../../src/data/packing.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import type { Adapter } from '../../src/io/peft.ts';
import { FAMILIES } from '../../src/losses/families.ts';
import { lossOf, type TrainingLoss } from '../../src/losses/family.ts';
import type { CausalLM } from '../../src/model/causal-lm.ts';
import { freshAdapter, type LoraAdapter } from '../../src/model/lora.ts';
import { LABEL_RULES } from '../../src/rollout/labels.ts';
import { LiveReference } from '../../src/train/references/live-reference.ts';
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
/** 21 texts, which form 210 pairs. */
const LONGEST = 2;

const rewardOf = (tokens: readonly number[]) =>
  Math.sin(7 * tokens.reduce((hash, token) => 5 * hash + token, 1));
const sigma = (x: number) => 1 / (1 + Math.exp(-x));

interface Setup {
  gpu: Gpu;
  model: CausalLM;
  exact: DecoderModel;
  adapter: Adapter;
  trained: LoraAdapter;
}

async function setup(): Promise<Setup> {
  const gpu = await testGpu();
  const { model, exact } = await fiveTokens(gpu, ENDS);
  const config = { r: 2, loraAlpha: 4, targetModules: MODULES, useRslora: false };
  const adapter = freshAdapter(config, model.targets(MODULES), 'five', 3);
  const { normals } = random(8);
  for (const { b } of adapter.weights.values()) b.set(normals(b.length, 0.4));
  return { gpu, model, exact, adapter, trained: model.attach(adapter, { trainable: true }) };
}

/** All texts with their log-probabilities under the policy, and log π/π_ref. */
function enumerated({ exact, adapter }: Setup, longest: number) {
  const reference = allTexts(exact, ENDS, longest);
  const policy = allTexts(withAdapter(exact, adapter), ENDS, longest);
  return policy.map(({ tokens, logprob }, y) => ({
    tokens,
    probability: Math.exp(logprob),
    ratio: logprob - reference[y]?.logprob,
  }));
}

interface Weighed {
  example: TokenizedExample;
  weight: number;
}

/** The gradients of weighted examples on the device, one batch each, and the weighted sum of their losses. */
async function onDevice({ gpu, model, trained }: Setup, loss: TrainingLoss, examples: readonly Weighed[]) {
  const parameters = trained.parameters!;
  parameters.zeroGradients();
  const scorer = logprobs().create(model, parameters);
  const reference = new LiveReference(model, trained, 1);
  const common = { model, scorer, reference, kept: 'float32', filterEps: 0 } as const;
  const means = examples.map(({ example, weight }) => {
    const terms = loss.terms.map((term) => ({ ...term, weight }));
    return runBatch(gpu, { ...common, loss: { ...loss, terms } }, [example], [example]).means;
  });
  const gradients = await parameters.read('gradients');
  const losses = await Promise.all(means);
  scorer.dispose();
  return { gradients, loss: losses.reduce((sum, { loss }) => sum + loss.value, 0) };
}

/** Compares with float64: each text's log π has the derivative `slopes`. */
function expectGradients(
  { exact, adapter }: Setup,
  gradients: ReadonlyMap<string, Float32Array>,
  texts: readonly (readonly number[])[],
  slopes: readonly number[],
) {
  const sequences = texts.map((completion) => ({ prompt: [...PROMPT], completion: [...completion] }));
  const policy = decoder(withAdapter(exact, adapter), packSequences(sequences));
  const upstream = texts.flatMap(({ length }, y) => new Array<number>(length).fill(slopes[y]));
  const truth = policy.backward(Float64Array.from(upstream));
  for (const [module, { a, b }] of truth.adapters) {
    for (const [side, expected] of [
      ['A', a],
      ['B', b],
    ] as const) {
      const found = gradients.get(`${module}.lora_${side}`)!;
      expect(relativeL2(found, expected), `${module} ${side}`).to.be.below(1e-5 + COARSE_PASS);
    }
  }
}

/** Every pair of different texts, the chosen one first, and the probability that it is drawn and labeled so. */
function* allPairs(
  count: number,
  probability: (y: number) => number,
  chance: (a: number, b: number) => number,
) {
  for (let a = 0; a < count; a++) {
    for (let b = 0; b < count; b++) {
      // Drawn in either order.
      const weight = a === b ? 0 : 2 * probability(a) * probability(b) * chance(a, b);
      if (weight > 0) yield { a, b, weight };
    }
  }
}

describe('rollout: the expected gradient of online DPO', () => {
  const SLOPES = {
    sigmoid: (delta: number) => -BETA * sigma(-BETA * delta),
    ipo: (delta: number) => 2 * (delta - 1 / (2 * BETA)),
  };
  const CHANCES = {
    greedy: (a: number, b: number) => (LABEL_RULES.greedy(a, b) === 0 ? 1 : 0),
    sampled: (a: number, b: number) => sigma(a - b),
  };
  for (const [lossType, labels] of [
    ['sigmoid', 'sampled'],
    ['ipo', 'greedy'],
  ] as const) {
    it(`${lossType}, ${labels} labels: equals that of all pairs`, async () => {
      const all = await setup();
      const texts = enumerated(all, LONGEST);
      expect(texts.length).to.equal(21);
      const rewards = texts.map(({ tokens }) => rewardOf(tokens));
      const loss = lossOf(FAMILIES['online-dpo'], { lossType, beta: BETA, ipoTokenMean: 0 });
      const pairs = [
        ...allPairs(
          texts.length,
          (y) => texts[y].probability,
          (a, b) => CHANCES[labels](rewards[a], rewards[b]),
        ),
      ];
      const slopes = texts.map(() => 0);
      for (const { a, b, weight } of pairs) {
        const slope = weight * SLOPES[lossType](texts[a].ratio - texts[b].ratio);
        slopes[a] += slope;
        slopes[b] -= slope;
      }
      const examples = pairs.map(({ a, b, weight }) => ({
        example: { prompt: [...PROMPT], completions: [texts[a].tokens, texts[b].tokens] },
        weight,
      }));
      const { gradients } = await onDevice(all, loss, examples);
      expectGradients(
        all,
        gradients,
        texts.map(({ tokens }) => tokens),
        slopes,
      );
      all.model.dispose();
    });
  }

  it('with sampled labels is 0 on every pair at the optimum', async () => {
    const all = await setup();
    const texts = enumerated(all, LONGEST);
    const loss = lossOf(FAMILIES['online-dpo'], { lossType: 'sigmoid', beta: BETA });
    // This policy is the optimum of the reward β log π/π_ref.
    const rewards = texts.map(({ ratio }) => BETA * ratio);
    for (const [a, b] of [
      [0, 5],
      [3, 17],
      [20, 8],
    ] as const) {
      const pair = (chosen: number, rejected: number, weight: number) => ({
        example: {
          prompt: [...PROMPT],
          completions: [texts[chosen].tokens, texts[rejected].tokens],
        },
        weight,
      });
      const chance = sigma(rewards[a] - rewards[b]);
      const norm = async (weighed: Weighed[]) => {
        const { gradients } = await onDevice(all, loss, weighed);
        return Math.hypot(...[...gradients.values()].flatMap((values) => [...values]));
      };
      const one = await norm([pair(a, b, chance)]);
      const both = await norm([pair(a, b, chance), pair(b, a, 1 - chance)]);
      expect(one).to.be.above(1e-3);
      expect(both / one).to.be.below(1e-5 + COARSE_PASS);
    }
    all.model.dispose();
  });
});

describe('rollout: the expected gradient of A*-PO', () => {
  const loss = lossOf(FAMILIES.a2po, { lossType: 'a2po', beta: BETA });
  const weighed = (texts: ReturnType<typeof enumerated>, advantage: (y: number) => number): Weighed[] =>
    texts.map(({ tokens, probability }, y) => ({
      example: { prompt: [...PROMPT], completions: [tokens], columns: { advantage: [advantage(y)] } },
      weight: probability,
    }));

  it('is −2β∇J', async () => {
    const all = await setup();
    const texts = enumerated(all, 3);
    expect(texts.length).to.equal(85);
    const returns = texts.map(({ tokens, ratio }) => rewardOf(tokens) - BETA * ratio);
    const objective = texts.reduce((sum, { probability }, y) => sum + probability * returns[y], 0);
    // ∇J = E[(r − βK1 − J) ∇ log π].
    const slopes = texts.map(({ probability }, y) => -2 * BETA * probability * (returns[y] - objective));
    // For any V*: it is a baseline here.
    const advantages = texts.map(({ tokens }) => rewardOf(tokens) - 0.7);
    const found = await onDevice(
      all,
      loss,
      weighed(texts, (y) => advantages[y]),
    );
    expectGradients(
      all,
      found.gradients,
      texts.map(({ tokens }) => tokens),
      slopes,
    );
    const expected = texts.reduce(
      (sum, { probability, ratio }, y) => sum + probability * (BETA * ratio - advantages[y]) ** 2,
      0,
    );
    expect(found.loss / expected).to.be.closeTo(1, 1e-5 + COARSE_PASS);
    all.model.dispose();
  });

  it('is 0 with its loss at the optimum, text by text', async () => {
    const all = await setup();
    const texts = enumerated(all, 3);
    // For the reward whose optimum this policy is, r − V* is β log π/π_ref.
    const at = await onDevice(
      all,
      loss,
      weighed(texts, (y) => BETA * texts[y].ratio),
    );
    const away = await onDevice(
      all,
      loss,
      weighed(texts, (y) => rewardOf(texts[y].tokens)),
    );
    const norm = (gradients: ReadonlyMap<string, Float32Array>) =>
      Math.hypot(...[...gradients.values()].flatMap((values) => [...values]));
    expect(at.loss).to.be.below(1e-10 + COARSE_PASS);
    expect(norm(at.gradients) / norm(away.gradients)).to.be.below(1e-5 + COARSE_PASS);
    all.model.dispose();
  });
});
