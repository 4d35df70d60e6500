/**
 * What a step on rollouts computes, counted: which passes of the model there are, and over how many tokens. A prompt is computed once
 * for its group, in training and in both scores; the policy is not scored at ratio 1; groups without a gradient are not computed.
 */
import { expect } from 'chai';
import { Decoder } from '../../src/model/decoder.ts';
import { GRPOTrainer } from '../../src/rollout/grpo-trainer.ts';
import type { BatchReward } from '../../src/rollout/rewards.ts';
import type { GRPOArgs } from '../../src/train/config.ts';
import { fiveTokens, LONGEST } from '../model/five-tokens.ts';
import { testGpu } from '../support/gpu.ts';
import { fiveWords } from './five-words.ts';

const PROMPTS = ['d b e', 'e e'];

/** The tokens of each pass of the first step, and those of each group, its prompt once. */
async function passesOf(args: GRPOArgs): Promise<{ passes: number[]; groups: number[] }> {
  const { model } = await fiveTokens(await testGpu(), [0]);
  let completions: readonly (readonly number[])[] = [];
  // The first group has equal rewards.
  const reward: BatchReward = ({ completionIds }) => {
    completions = completionIds;
    return completionIds.map((_, i) => (i < completionIds.length / 2 ? 1 : i));
  };
  const trainer = new GRPOTrainer({
    model,
    processingClass: await fiveWords(),
    rewardFuncs: reward,
    trainDataset: PROMPTS.map((prompt) => ({ prompt })),
    peftConfig: { r: 2, loraAlpha: 8, targetModules: ['q_proj'] },
    args: {
      ...{ perDeviceTrainBatchSize: 8, maxSteps: 1, seed: 5, numGenerations: 4 },
      ...{ maxCompletionLength: LONGEST, shuffleDataset: false, ...args },
    },
  });
  const { hidden } = Decoder.prototype;
  const passes: number[] = [];
  Decoder.prototype.hidden = function (tape, batch, kept) {
    const result = hidden.call(this, tape, batch, kept);
    if (!tape.gpu.counting) passes.push(result.rows);
    return result;
  };
  try {
    for await (const _ of trainer.train());
  } finally {
    Decoder.prototype.hidden = hidden;
    trainer.dispose();
    model.dispose();
  }
  const groups = PROMPTS.map((prompt, p) => {
    const own = completions.slice(4 * p, 4 * p + 4);
    // The last token of a completion is only a target.
    return prompt.split(' ').length + own.reduce((sum, { length }) => sum + length - 1, 0);
  });
  return { passes, groups };
}

describe('passes of a step on rollouts', () => {
  it('at ratio 1 without a reference: only training, and only groups with a gradient', async () => {
    const { passes, groups } = await passesOf({});
    expect(passes).to.deep.equal([groups[1]]);
  });

  it('with a KL in the reward: policy and reference, each over whole groups, and training', async () => {
    const { passes, groups } = await passesOf({ beta: 0.3, klIn: 'reward' });
    const all = groups[0] + groups[1];
    // In the first step the policy is the reference, so that equal rewards are equal returns.
    expect(passes).to.deep.equal([all, all, groups[1]]);
  });

  it('with a KL in the loss: the reference, and training; the policy is not scored in advance', async () => {
    const { passes, groups } = await passesOf({ beta: 0.3 });
    const all = groups[0] + groups[1];
    expect(passes).to.deep.equal([all, all]);
  });

  it('with reused completions: the policy is scored once, and silent groups are not computed', async () => {
    const { passes, groups } = await passesOf({ numIterations: 2, maxSteps: 2 });
    const all = groups[0] + groups[1];
    expect(passes).to.deep.equal([all, groups[1], groups[1]]);
  });
});
