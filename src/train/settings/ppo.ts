/** The settings of PPO: token rewards, advantages, and the number of passes over a batch of completions. */
import { boolean, choice, number, type Values, whole } from '../../base/setting.ts';
import { PPO_FAMILY, PPO_OPTIONS } from '../../losses/ppo-losses.ts';
import { ENDING, ROLLOUTS } from './rollouts.ts';
import { type Args, type OptionValues, optionsOf, type TrainingConfig, trainer } from './trainer.ts';
import { TRAINING } from './training.ts';

const { numGenerationsEval, maxCompletionLength, temperature, rewardWeights, rewardTimeout } = ROLLOUTS;

const TOKENS = {
  /** Completions of each prompt, which share the prompt's computation and memory; TRL's PPO writes one. */
  numGenerations: whole({
    default: 1,
    range: { from: 1, upTo: 2 ** 16 },
    group: 'rollouts',
    trl: null,
    help: 'completions of each prompt, which is then held once for all of them; --batch-size counts completions',
  }),
  numGenerationsEval,
  maxCompletionLength,
  temperature,
  rewardWeights,
  rewardTimeout,
  /** How strongly the policy is pulled to the reference: the KL penalty in the token rewards. */
  klCoef: number({
    default: 0.05,
    range: { from: 0 },
    group: 'loss',
    trl: 'kl_coef',
    help: 'how strongly the policy is pulled to the reference: the KL penalty in the token rewards',
  }),
  /** The estimator of a token's KL; k3 is rejected. */
  klEstimator: choice(['k1', 'k3'], {
    default: 'k1',
    group: 'loss',
    trl: 'kl_estimator',
    help: 'KL estimator for tokens; k3 is rejected, because as a reward its gradient increases the KL',
  }),
  /** Passes over a batch of completions, each in its own order. */
  numPpoEpochs: whole({
    default: 4,
    range: { from: 1 },
    group: 'rollouts',
    trl: 'num_ppo_epochs',
    help: 'passes over a batch of completions, each in its own order',
  }),
  /** Optimizer steps per pass. */
  numMiniBatches: whole({
    default: 1,
    range: { from: 1 },
    group: 'rollouts',
    trl: 'num_mini_batches',
    help: 'optimizer steps per pass',
  }),
  /** Discount of later rewards. */
  gamma: number({
    default: 1,
    range: { from: 0, upTo: 1 },
    group: 'loss',
    trl: 'gamma',
    help: 'discount of later rewards',
  }),
  /** 1: an advantage is the remaining reward minus the value; 0: one step of reward, the rest from the values. */
  lam: number({
    default: 0.95,
    range: { from: 0, upTo: 1 },
    group: 'loss',
    trl: 'lam',
    help: 'λ of the advantages: 1 uses only rewards, 0 only one reward and the values',
  }),
  /** Weight of the value loss. */
  vfCoef: number({
    default: 0.1,
    range: { from: 0 },
    group: 'loss',
    trl: 'vf_coef',
    help: 'weight of the value loss',
  }),
  ...ENDING,
  /** Whether token rewards are divided by their standard deviation. */
  whitenRewards: boolean({
    default: false,
    group: 'loss',
    trl: 'whiten_rewards',
    help: 'divide token rewards by their standard deviation',
  }),
  /** Whether advantages are standardized over the batch of completions. */
  whitenAdvantages: boolean({
    default: true,
    group: 'loss',
    trl: null,
    help: 'standardize the advantages over the batch of completions',
    off: 'do not standardize the advantages',
  }),
  /** Whether the score is added after the end token, as in TRL, or at the last token. */
  scoreAfterEos: boolean({
    default: false,
    group: 'loss',
    trl: null,
    help: "add the score after the end token, as in TRL's PPO, instead of at the last token",
  }),
};

const SETTINGS = { ...TRAINING, ...TOKENS, ...optionsOf(PPO_OPTIONS, 'ppo', true) };

export const PPO = trainer({
  family: PPO_FAMILY,
  settings: SETTINGS,
  options: optionsOf(PPO_OPTIONS, 'ppo', false),
  defaults: { learningRate: 3e-6, maxCompletionLength: 53, temperature: 0.7 },
  adapterDefaults: { learningRate: 3e-5 },
});

export interface PPOConfig
  extends TrainingConfig,
    Values<typeof TOKENS>,
    OptionValues<typeof PPO_OPTIONS, 'ppo'> {}

export type PPOArgs = Args<PPOConfig, typeof SETTINGS>;
