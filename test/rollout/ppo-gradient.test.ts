/**
 * PPO's gradients on the device compared with exact ones, without sampling: all 85 texts of a model of five tokens as one
 * batch, each weighted by its probability. With the advantages of exact values, the policy's gradient is that of objective
 * (1); both gradients are those of the formulas in float64 when ratios and values have changed, and some are clipped.
 */
import { expect } from 'chai';
import { packExamples, type TokenizedExample } from '../../src/data/packing.ts';
import type { Adapter } from '../../src/io/peft.ts';
import { FAMILIES } from '../../src/losses/families.ts';
import { lossOf } from '../../src/losses/family.ts';
import { freshAdapter } from '../../src/model/lora.ts';
import { generalizedAdvantages, tokenRewards } from '../../src/rollout/gae.ts';
import { castRoles } from '../../src/train/roles.ts';
import { scalars } from '../../src/train/scorer.ts';
import { runBatch } from '../../src/train/step.ts';
import { allTexts, fiveTokens, LONGEST, PROMPT, withAdapter } from '../model/five-tokens.ts';
import { random, relativeL2 } from '../reference/compare.ts';
import { decoder } from '../reference/decoder.ts';
import { COARSE_PASS } from '../support/coarse.ts';
import { testGpu } from '../support/gpu.ts';

const ENDS = [0];
const BETA = 0.3;
const CLIP = 0.2;
const VF_COEF = 0.1;
const MODULES = ['q_proj', 'v_proj', 'o_proj', 'gate_proj', 'down_proj'];
const CONFIG = { r: 2, loraAlpha: 4, targetModules: MODULES, useRslora: false };
/** Float32 compared with float64; the measured error is below 3e-6. */
const TOLERANCE = 1e-5 + COARSE_PASS;

/** A reward of each text that looks random. */
const rewardOf = (tokens: readonly number[]) =>
  Math.sin(7 * tokens.reduce((hash, token) => 5 * hash + token, 1));

const sum = (values: ArrayLike<number>) => Array.from(values).reduce((a, b) => a + b, 0);

async function setup(rows: 'targets' | { states: number }) {
  const gpu = await testGpu();
  const { model, exact } = await fiveTokens(gpu, ENDS);
  const moved = (seed: number): Adapter => {
    const adapter = freshAdapter(CONFIG, model.targets(MODULES), 'five', seed);
    const { normals } = random(seed + 5);
    for (const { b } of adapter.weights.values()) b.set(normals(b.length, 0.4));
    return adapter;
  };
  const [policy, value] = [moved(3), moved(4)];
  const head = Float32Array.from(random(12).normals(exact.config.hiddenSize, 0.5));
  const loss = lossOf(FAMILIES.ppo, { lossType: 'ppo', beta: BETA, cliprange: CLIP });
  const valueLoss = lossOf(FAMILIES.ppo, { lossType: 'ppo_value', beta: BETA, cliprangeValue: CLIP });
  const roles = castRoles({
    model,
    peftConfig: policy,
    seed: 1,
    policy: { loss },
    beside: [
      {
        name: 'value',
        scorer: scalars(rows),
        loss: valueLoss,
        weight: VF_COEF,
        start: { adapter: value, head },
      },
    ],
  });
  const texts = allTexts(withAdapter(exact, policy), ENDS);
  const base = allTexts(exact, ENDS);
  const example: TokenizedExample = { prompt: [...PROMPT], completions: texts.map(({ tokens }) => tokens) };
  const run = async (columns: Record<string, number[]>) => {
    roles.parameters.zeroGradients();
    const { scorer } = roles.policy;
    const { beside } = roles;
    const context = {
      model,
      scorer,
      loss,
      reference: undefined,
      kept: 'float32',
      filterEps: 0,
      beside,
    } as const;
    const all = [{ ...example, columns }];
    const { means } = runBatch(gpu, context, all, all);
    const gradients = await roles.parameters.read('gradients');
    return { gradients, means: await means };
  };
  const done = () => {
    for (const { scorer } of [roles.policy, ...roles.beside]) scorer.dispose();
    model.dispose();
  };
  return { model, exact, policy, value, roles, texts, base, example, run, done };
}

/** One number per token: log π and log π_ref by texts in a row, and the state of each token. */
function perToken({ exact, policy, example, texts }: Awaited<ReturnType<typeof setup>>) {
  const packed = packExamples([example]);
  const own = decoder(withAdapter(exact, policy), packed);
  const base = decoder(exact, packed);
  const states = texts.flatMap(({ tokens }) => tokens.map((_, t) => tokens.slice(0, t).join()));
  return { own, base, states, logRatios: own.logprob.map((value, i) => value - base.logprob[i]) };
}

/** Lists by text of numbers stored in a row. */
function split(values: ArrayLike<number>, lengths: readonly number[]): number[][] {
  let end = 0;
  return lengths.map((length) => {
    end += length;
    return Array.from({ length }, (_, i) => values[end - length + i]);
  });
}

describe('rollout: the expected gradients of PPO', () => {
  it('is the gradient of objective (1) at ratio 1, whatever λ is, with exact values', async () => {
    const all = await setup('targets');
    const { texts } = all;
    const { own, states, logRatios } = perToken(all);
    const lengths = texts.map(({ tokens }) => tokens.length);
    const probabilities = texts.map(({ logprob }) => Math.exp(logprob));
    const rewards = split(logRatios, lengths).map((ratios, y) =>
      tokenRewards(ratios, rewardOf(texts[y].tokens), { klCoef: BETA }),
    );
    const [earned, visits] = [new Map<string, number>(), new Map<string, number>()];
    const statesOf = split(
      states.map((_, i) => i),
      lengths,
    ).map((list) => list.map((i) => states[i]));
    for (const [y, list] of statesOf.entries()) {
      for (const [t, state] of list.entries()) {
        const p = probabilities[y];
        earned.set(state, (earned.get(state) ?? 0) + p * sum(rewards[y].subarray(t)));
        visits.set(state, (visits.get(state) ?? 0) + p);
      }
    }
    const exactValue = (state: string) => earned.get(state)! / visits.get(state)!;
    const objective = sum(probabilities.map((p, y) => p * sum(rewards[y])));
    const truth = own.backward(
      Float64Array.from(
        statesOf.flatMap((list, y) => list.map(() => -probabilities[y] * (sum(rewards[y]) - objective))),
      ),
    );
    const tokens = sum(lengths);
    for (const lam of [0, 0.95, 1]) {
      const advantage = statesOf.flatMap((list, y) => {
        const values = list.map(exactValue);
        const found = generalizedAdvantages(rewards[y], values, { gamma: 1, lam });
        // The loss is a mean over all tokens; this makes it the expectation.
        return [...found].map((value) => tokens * probabilities[y] * value);
      });
      const zeros = states.map(() => 0);
      const columns = { advantage, oldLogprobs: [...own.logprob], oldValues: zeros, returns: zeros };
      const { gradients, means } = await all.run(columns);
      for (const [module, { a, b }] of truth.adapters) {
        expect(relativeL2(gradients.get(`${module}.lora_A`)!, a), `${module} A, λ ${lam}`).to.be.below(
          TOLERANCE,
        );
        expect(relativeL2(gradients.get(`${module}.lora_B`)!, b), `${module} B, λ ${lam}`).to.be.below(
          TOLERANCE,
        );
      }
      expect(means['val/ratio'].value).to.be.closeTo(1, 1e-5);
      expect(means['policy/clipfrac_avg'].value).to.be.below(0.51);
    }
    all.done();
  });

  for (const rows of ['targets', { states: LONGEST }] as const) {
    const name = rows === 'targets' ? 'every target' : 'every state, those behind ends too';
    it(`follows changed ratios, and values of ${name}, up to their bounds`, async () => {
      const all = await setup(rows);
      const { exact, value, texts, example } = all;
      const { own } = perToken(all);
      const { normals } = random(31);
      const shifts = normals(own.logprob.length, 0.25);
      const advantage = normals(own.logprob.length, 1);
      const packed = packExamples([example], { rows });
      const states = packed.rows.length;
      expect(states).to.equal(
        sum(
          texts.map(({ tokens }) =>
            rows === 'targets' ? tokens.length : Math.min(tokens.length + 1, LONGEST),
          ),
        ),
      );
      const critic = decoder(withAdapter(exact, value), packed);
      const head = (await all.roles.parameters.read('values')).get('value.score.weight')!;
      const width = head.length;
      const values = Array.from(packed.rows, (row) =>
        head.reduce((total, w, i) => total + w * critic.hidden[row * width + i], 0),
      );
      const drift = normals(states, 0.25);
      const returns = Array.from(normals(states, 0.5), Math.fround);
      const oldValues = values.map((v, i) => Math.fround(v + drift[i]));
      const { gradients, means } = await all.run({
        advantage: Array.from(advantage, Math.fround),
        oldLogprobs: Array.from(own.logprob, (x, i) => x - shifts[i]),
        oldValues,
        returns: [...returns],
      });

      // The clipped surrogate as in PyTorch, divided by the tokens of the batch.
      const count = own.logprob.length;
      let clipped = 0;
      const upstream = Float64Array.from(advantage, (gain, i) => {
        const ratio = Math.exp(shifts[i]);
        const bound = Math.min(Math.max(ratio, 1 - CLIP), 1 + CLIP);
        const dead = -gain * bound > -gain * ratio;
        if (dead) clipped++;
        return dead ? 0 : (-gain * ratio) / count;
      });
      const policyTruth = own.backward(upstream);
      let held = 0;
      let loss = 0;
      const slopes = values.map((v, i) => {
        const [old, aim] = [oldValues[i], returns[i]];
        const [free, bound] = [v - aim, Math.min(Math.max(v, old - CLIP), old + CLIP) - aim];
        const isHeld = bound ** 2 > free ** 2;
        if (isHeld) held++;
        loss += (0.5 * Math.max(free ** 2, bound ** 2)) / states;
        return isHeld ? 0 : (VF_COEF * free) / states;
      });
      const dhidden = new Float64Array(critic.hidden.length);
      const dhead = new Float64Array(width);
      packed.rows.forEach((row, r) => {
        for (let i = 0; i < width; i++) {
          dhidden[row * width + i] = dhidden[row * width + i] + slopes[r] * head[i];
          dhead[i] = dhead[i] + slopes[r] * critic.hidden[row * width + i];
        }
      });
      const valueTruth = critic.backwardHidden(dhidden);

      // Some are clipped and some are not; otherwise this would prove nothing.
      expect(clipped / count).to.be.within(0.1, 0.6);
      expect(held / states).to.be.within(0.05, 0.6);
      expect(means['policy/clipfrac_avg'].value).to.be.closeTo(clipped / count, 1e-6);
      expect(means['val/clipfrac_avg'].value).to.be.closeTo(held / states, 1e-6);
      expect(means['loss/value_avg'].value).to.be.closeTo(loss, 1e-5);
      expect(means.loss.value).to.be.closeTo(
        means['loss/policy_avg'].value + VF_COEF * means['loss/value_avg'].value,
        1e-6,
      );
      for (const [prefix, truth] of [
        ['', policyTruth],
        ['value.', valueTruth],
      ] as const) {
        for (const [module, { a, b }] of truth.adapters) {
          expect(
            relativeL2(gradients.get(`${prefix}${module}.lora_A`)!, a),
            `${prefix}${module} A`,
          ).to.be.below(TOLERANCE);
          expect(
            relativeL2(gradients.get(`${prefix}${module}.lora_B`)!, b),
            `${prefix}${module} B`,
          ).to.be.below(TOLERANCE);
        }
      }
      expect(relativeL2(gradients.get('value.score.weight')!, dhead)).to.be.below(TOLERANCE);
      all.done();
    });
  }
});
