/** RLOO on the prompts of the judgments, by the library's trainer, against the reward model of the run. */
import type { PromptRow } from 'webalign/data';
import { RLOOTrainer } from 'webalign/trainers';
import { COPIES } from '../../shared/policy-run.ts';
import { type Judgment, type Prompt, promptText } from '../preferences/judgment.ts';
import type { TrainerParts } from '../trainers.ts';
import { saveStepsFor } from './defaults.ts';

/** Held-out prompts of an evaluation, each with {@link COPIES} rollouts. */
const HELD_OUT = 6;

/** Each prompt once, in order. */
function promptsOf(judgments: readonly Judgment[]): Prompt[] {
  return [...new Map(judgments.map(({ prompt }) => [promptText(prompt), prompt])).values()];
}

export const policyPrompts = (train: readonly Judgment[]): Prompt[] => promptsOf(train);
/** Those that an evaluation writes to. */
export const heldOutPrompts = (heldOut: readonly Judgment[]): Prompt[] =>
  promptsOf(heldOut).slice(0, HELD_OUT);

const rowOf = (prompt: Prompt): PromptRow => ({
  prompt: typeof prompt === 'string' ? prompt : (prompt as PromptRow['prompt'] & object),
});

/** Throws `InputError` for settings or prompts that make no sense. */
export function policyTrainer({
  train,
  heldOut,
  tokenizer,
  args,
  reward,
  ...rest
}: TrainerParts): RLOOTrainer {
  if (!reward) throw new Error('A run on rollouts has a reward model.');
  const { perDeviceTrainBatchSize, numGenerations, evalSteps } = args;
  return new RLOOTrainer({
    ...rest,
    processingClass: tokenizer,
    trainDataset: policyPrompts(train).map(rowOf),
    evalDataset: heldOutPrompts(heldOut).map(rowOf),
    rewardFuncs: reward,
    args: {
      ...args,
      // The page counts prompts, TRL completions.
      perDeviceTrainBatchSize: Number(perDeviceTrainBatchSize) * Number(numGenerations),
      numGenerationsEval: COPIES,
      saveSteps: saveStepsFor(Number(evalSteps)),
    },
  });
}
