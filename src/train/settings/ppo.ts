/** The settings of PPO: what tokens earn, how advantages are made of it, and how often a batch of completions is learned from. */
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
  /** Strength of the pull to the reference: the KL penalty in the rewards of the tokens. */
  klCoef: number({
    default: 0.05,
    range: { from: 0 },
    group: 'loss',
    trl: 'kl_coef',
    help: 'strength of the pull to the reference: the KL penalty in the rewards of the tokens',
  }),
  /** How the KL of a token is estimated; k3 is refused. */
  klEstimator: choice(['k1', 'k3'], {
    default: 'k1',
    group: 'loss',
    trl: 'kl_estimator',
    help: 'how the KL of a token is estimated; k3 is refused, because in a reward it points the wrong way',
  }),
  /** Passes over a batch of completions, each in an order of its own. */
  numPpoEpochs: whole({
    default: 4,
    range: { from: 1 },
    group: 'rollouts',
    trl: 'num_ppo_epochs',
    help: 'passes over a batch of completions, each in an order of its own',
  }),
  /** Optimizer steps that a pass is cut into. */
  numMiniBatches: whole({
    default: 1,
    range: { from: 1 },
    group: 'rollouts',
    trl: 'num_mini_batches',
    help: 'optimizer steps of a pass',
  }),
  /** Discount of later rewards. */
  gamma: number({
    default: 1,
    range: { from: 0, upTo: 1 },
    group: 'loss',
    trl: 'gamma',
    help: 'discount of later rewards',
  }),
  /** 1: an advantage is the reward to come less the value; 0: one step ahead, the rest by the values. */
  lam: number({
    default: 0.95,
    range: { from: 0, upTo: 1 },
    group: 'loss',
    trl: 'lam',
    help: 'λ of the advantages: 1 trusts the rewards alone, 0 the values',
  }),
  /** Weight of the loss of the values. */
  vfCoef: number({
    default: 0.1,
    range: { from: 0 },
    group: 'loss',
    trl: 'vf_coef',
    help: 'weight of the loss of the values',
  }),
  ...ENDING,
  /** Whether the rewards of the tokens are divided by their standard deviation. */
  whitenRewards: boolean({
    default: false,
    group: 'loss',
    trl: 'whiten_rewards',
    help: 'divide the rewards of the tokens by their standard deviation',
  }),
  /** Whether advantages are standardized over the batch of completions. */
  whitenAdvantages: boolean({
    default: true,
    group: 'loss',
    trl: null,
    help: 'standardize the advantages over the batch of completions',
    off: 'leave the advantages as they are',
  }),
  /** Whether the score falls behind the end token, as in TRL, or on the last token. */
  scoreAfterEos: boolean({
    default: false,
    group: 'loss',
    trl: null,
    help: "give the score behind the end token, as TRL's PPO does, and not on the last token",
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
