/** Settings that online DPO and A*-PO share with the other trainers that sample completions. */
import { ROLLOUTS } from './rollouts.ts';

const {
  numGenerationsEval,
  maxCompletionLength,
  temperature,
  stepsPerGeneration,
  numIterations,
  rewardWeights,
  rewardTimeout,
} = ROLLOUTS;

export const WRITTEN = {
  numGenerationsEval,
  maxCompletionLength,
  temperature,
  stepsPerGeneration,
  numIterations,
  rewardWeights,
  rewardTimeout,
};
