/**
 * The gradient of every loss on sampled tokens on the device compared with its own expectation, without sampling: all 85
 * texts of a model of five tokens, written by a policy that the trained one has moved away from. Advantages are those of
 * the package over all pairs of texts. A loss is proportional to |A| for either sign, so each text occurs twice, weighted
 * by the mean of its positive and of its negative advantages; a divisor that depends on the group is part of the weight.
 */
import { expect } from 'chai';
import type { TokenizedExample } from '../../src/data/packing.ts';
import type { Adapter } from '../../src/io/peft.ts';
import { FAMILIES } from '../../src/losses/families.ts';
import { type LossSettings, lossOf } from '../../src/losses/family.ts';
import { POLICY_LOSSES } from '../../src/losses/policy-losses.ts';
import { freshAdapter } from '../../src/model/lora.ts';
import { advantages } from '../../src/rollout/advantages.ts';
import { LiveReference } from '../../src/train/references/live-reference.ts';
import { logprobs } from '../../src/train/scorer.ts';
import { runBatch } from '../../src/train/step.ts';
import { allTexts, fiveTokens, PROMPT, withAdapter } from '../model/five-tokens.ts';
import { packSequences } from '../model/tiny.ts';
import { random, relativeL2 } from '../reference/compare.ts';
import { decoder } from '../reference/decoder.ts';
import { type PolicyOptions, policyLoss } from '../reference/policy-losses.ts';
import { COARSE_PASS } from '../support/coarse.ts';
import { testGpu } from '../support/gpu.ts';

const ENDS = [0];
const MODULES = ['q_proj', 'v_proj', 'o_proj', 'gate_proj', 'down_proj'];

const rewardOf = (tokens: readonly number[]) =>
  Math.sin(7 * tokens.reduce((hash, token) => 5 * hash + token, 1));

/** The same adapter a few steps ago. */
function moved(adapter: Adapter): Adapter {
  const { normals } = random(21);
  const weights = [...adapter.weights].map(([name, pair]) => {
    const noise = normals(pair.b.length, 0.25);
    return [name, { ...pair, b: pair.b.map((value, i) => value + noise[i]) }] as const;
  });
  return { ...adapter, weights: new Map(weights) };
}

async function setup() {
  const gpu = await testGpu();
  const { model, exact } = await fiveTokens(gpu, ENDS);
  const config = { r: 2, loraAlpha: 4, targetModules: MODULES, useRslora: false };
  const adapter = freshAdapter(config, model.targets(MODULES), 'five', 3);
  const { normals } = random(8);
  for (const { b } of adapter.weights.values()) b.set(normals(b.length, 0.4));
  const texts = allTexts(exact, ENDS).map(({ tokens }) => tokens);
  const packed = packSequences(texts.map((completion) => ({ prompt: [...PROMPT], completion })));
  const rowsBy = (of: Adapter | undefined) => {
    const { logprob } = decoder(of ? withAdapter(exact, of) : exact, packed);
    let start = 0;
    return texts.map(({ length }) => {
      start += length;
      // As float32 represents it, since the column is float32.
      return Float64Array.from(Float32Array.from(logprob.subarray(start - length, start)));
    });
  };
  const sampler = moved(adapter);
  const policy = decoder(withAdapter(exact, adapter), packed);
  let start = 0;
  const logp = texts.map(({ length }) => {
    start += length;
    return Float64Array.from(policy.logprob.subarray(start - length, start));
  });
  const trained = model.attach(adapter, { trainable: true });
  return {
    ...{ gpu, model, texts, policy, logp, trained },
    old: rowsBy(sampler),
    reference: rowsBy(undefined),
    probabilities: allTexts(withAdapter(exact, sampler), ENDS).map(({ logprob }) => Math.exp(logprob)),
  };
}

type Setup = Awaited<ReturnType<typeof setup>>;

/**
 * For each text the means of its positive and negative advantages over all pairs, divided by the pair's tokens where the
 * loss does so.
 */
function expectedAdvantages(
  { texts, probabilities }: Setup,
  baseline: 'leave_one_out' | 'group_mean',
  dividesByGroup: boolean,
): { gains: number[]; losses: number[] } {
  const [gains, losses] = [texts.map(() => 0), texts.map(() => 0)];
  const scale = baseline === 'group_mean' ? 'group' : 'none';
  texts.forEach((text, y) => {
    texts.forEach((other, z) => {
      const [own] = advantages([rewardOf(text), rewardOf(other)], { numGenerations: 2, baseline, scale });
      const share = dividesByGroup ? 2 / (text.length + other.length) : 1;
      const value = probabilities[z] * share * own;
      const side = value > 0 ? gains : losses;
      side[y] = side[y] + value;
    });
  });
  return { gains, losses };
}

interface Case {
  what: string;
  settings: LossSettings;
  of?: Partial<PolicyOptions>;
}

const SEQUENCE: Partial<Case> = { of: { sequence: true } };
const CASES: readonly Case[] = [
  ...POLICY_LOSSES.map(({ name }) => ({ what: name, settings: { lossType: name } })),
  {
    what: 'grpo with sequence-level ratios',
    settings: { lossType: 'grpo', importanceSamplingLevel: 'sequence' },
    ...SEQUENCE,
  },
  {
    what: 'luspo with sequence-level ratios',
    settings: { lossType: 'luspo', importanceSamplingLevel: 'sequence' },
    ...SEQUENCE,
  },
  { what: 'dapo with the bound delta', settings: { lossType: 'dapo', delta: 1.3 }, of: { delta: 1.3 } },
  {
    what: 'grpo without completions that are far off-policy',
    settings: { lossType: 'grpo', offPolicyMaskThreshold: 0.1 },
    of: { threshold: 0.1 },
  },
];

/** KL alone, as if all texts were equally likely. */
const KL_CASES: readonly Case[] = [
  { what: 'ρ k3', settings: { lossType: 'luspo', beta: 0.7 }, of: { beta: 0.7 } },
  {
    what: 'k3',
    settings: { lossType: 'luspo', beta: 0.7, useBiasCorrectionKl: false },
    of: { beta: 0.7, corrected: false },
  },
  {
    what: 's k3, with sequence-level ratios',
    settings: { lossType: 'luspo', beta: 0.7, importanceSamplingLevel: 'sequence' },
    of: { beta: 0.7, sequence: true },
  },
];

/** Gradients on the device of completions with an advantage each, summed, and the same in float64. */
async function compare(
  { gpu, model, texts, policy, logp, old, reference, trained }: Setup,
  { settings, of = {} }: Case,
  chosen: readonly { text: number; advantage: number }[],
  /** The divisor of the driver, which the advantages already contain. */
  makesUp: (lengths: readonly number[]) => number,
) {
  const name = settings.lossType as string;
  const family = name === 'rloo' ? FAMILIES.rloo : FAMILIES.grpo;
  const loss = lossOf(family, settings);
  const parameters = trained.parameters!;
  parameters.zeroGradients();
  const scorer = logprobs().create(model, parameters);
  const lengths = chosen.map(({ text }) => texts[text].length);
  const weight = chosen.length * makesUp(lengths);
  const perRow = loss.reads.advantage?.per === 'row';
  const example: TokenizedExample = {
    prompt: [...PROMPT],
    completions: chosen.map(({ text }) => texts[text]),
    columns: {
      advantage: chosen.flatMap(({ advantage }, i) =>
        new Array<number>(perRow ? lengths[i] : 1).fill(weight * advantage),
      ),
      oldLogprobs: chosen.flatMap(({ text }) => [...(old[text] as Float64Array)]),
    },
  };
  const live = new LiveReference(model, trained, 1);
  const context = { model, scorer, loss, reference: live, kept: 'float32', filterEps: 0 } as const;
  const { means } = runBatch(gpu, context, [example], [example]);
  const gradients = await parameters.read('gradients');
  await means;
  scorer.dispose();

  const rowStarts = texts.map((_, y) => texts.slice(0, y).reduce((sum, { length }) => sum + length, 0));
  const upstream = new Float64Array(policy.logprob.length);
  const { over } = POLICY_LOSSES.find((each) => each.name === name)!;
  chosen.forEach(({ text, advantage }) => {
    const { slopes } = policyLoss(
      name,
      {
        logp: logp[text] as Float64Array,
        old: old[text] as Float64Array,
        reference: reference[text] as Float64Array,
        advantage: (logp[text] as Float64Array).map(() => advantage),
      },
      of,
    );
    const by = over === 'sequence' ? slopes.length : over === 'constant' ? 256 : 1;
    const start = rowStarts[text];
    slopes.forEach((slope, t) => {
      upstream[start + t] = upstream[start + t] + slope / by;
    });
  });
  const truth = policy.backward(upstream);
  let size = 0;
  for (const [module, { a, b }] of truth.adapters) {
    size += a.reduce((sum, value) => sum + value ** 2, 0);
    // Ratios are e^x of float32 log-ratios, and all 85 texts are clipped alike in both computations.
    const bound = 1e-5 + COARSE_PASS;
    expect(relativeL2(gradients.get(`${module}.lora_A`)!, a), `${module} A`).to.be.below(bound);
    expect(relativeL2(gradients.get(`${module}.lora_B`)!, b), `${module} B`).to.be.below(bound);
  }
  expect(size).to.be.above(0);
}

describe('rollout: the expected gradient of off-policy losses', () => {
  let known: Setup;
  before(async () => {
    known = await setup();
  });
  after(() => known.model.dispose());

  it('is tested at clipped and at unclipped ratios', () => {
    const ratios = known.logp.flatMap((rows, y) =>
      Array.from(rows, (value, t) => Math.exp(value - known.old[y]?.[t])),
    );
    expect(Math.min(...ratios)).to.be.below(0.8);
    expect(Math.max(...ratios)).to.be.above(1.3);
    expect(ratios.filter((ratio) => ratio > 0.8 && ratio < 1.2).length).to.be.above(20);
  });

  for (const each of CASES) {
    it(each.what, async () => {
      const name = each.settings.lossType as string;
      const { over } = POLICY_LOSSES.find((loss) => loss.name === name)!;
      const dividesByGroup = over === 'batch' || over === 'rollout';
      const baseline = name === 'rloo' ? 'leave_one_out' : 'group_mean';
      const { gains, losses } = expectedAdvantages(known, baseline, dividesByGroup);
      const weighed = (values: readonly number[]) =>
        values.map((value, text) => ({ text, advantage: known.probabilities[text] * value }));
      const mean = (lengths: readonly number[]) => lengths.reduce((a, b) => a + b, 0) / lengths.length;
      await compare(known, each, [...weighed(gains), ...weighed(losses)], dividesByGroup ? mean : () => 1);
    });
  }

  for (const each of KL_CASES) {
    it(`of the KL in the loss: ${each.what}`, async () => {
      const all = known.texts.map((_, text) => ({ text, advantage: 0 }));
      // The driver takes the mean of what is summed here.
      const beta = known.texts.length * (each.settings.beta as number);
      await compare(known, { ...each, settings: { ...each.settings, beta } }, all, () => 1);
    });
  }
});
