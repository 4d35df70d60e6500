/**
 * Losses on tokens sampled from the policy, as rows of the catalogue: policy gradients, whose rewards are in the
 * advantages. RLOO's advantages include the KL; the others can add it to the loss.
 */

import cispoShader from '../../shaders/losses/cispo.wgsl';
import gmpoShader from '../../shaders/losses/gmpo.wgsl';
import grpoShader from '../../shaders/losses/grpo.wgsl';
import rlooShader from '../../shaders/losses/rloo.wgsl';
import sapoShader from '../../shaders/losses/sapo.wgsl';
import vespoShader from '../../shaders/losses/vespo.wgsl';
import type { Family } from './family.ts';
import type { Loss } from './loss.ts';
import { type LossOption, option } from './options.ts';
import { type MetricColumns, TOKEN_RECORD } from './units.ts';

/** The options of these losses that are settings of trainers. */
// biome-ignore format: a row for each option
export const POLICY_OPTIONS = {
  /** The ratio to the sampling policy is clipped below 1 minus this, and above 1 plus it. */
  epsilon: option({ trainers: ['rloo', 'grpo'], always: true, default: 0.2, range: { from: 0 }, trl: 'epsilon',
    help: 'the ratio to the sampling policy is clipped to 1 ± this' }),
  /** SAPO's τ for tokens with an advantage above 0. */
  sapoTemperaturePos: option({ trainers: ['grpo'], always: false, default: 1, range: { above: 0, reason: 'the loss divides by it' }, trl: 'sapo_temperature_pos',
    help: "sapo's temperature for tokens with an advantage above 0" }),
  /** SAPO's τ for the others. */
  sapoTemperatureNeg: option({ trainers: ['grpo'], always: false, default: 1.05, range: { above: 0, reason: 'the loss divides by it' }, trl: 'sapo_temperature_neg',
    help: "sapo's temperature for other tokens" }),
  /** VESPO's k for completions with an advantage of at least 0. */
  vespoKPos: option({ trainers: ['grpo'], always: false, default: 2, range: { from: 0 }, trl: 'vespo_k_pos',
    help: "vespo's exponent of the ratio, for advantages of at least 0" }),
  /** VESPO's λ for the same. */
  vespoLambdaPos: option({ trainers: ['grpo'], always: false, default: 3, range: { from: 0 }, trl: 'vespo_lambda_pos',
    help: "vespo's decay in the ratio, for advantages of at least 0" }),
  /** VESPO's k for the others. */
  vespoKNeg: option({ trainers: ['grpo'], always: false, default: 3, range: { from: 0 }, trl: 'vespo_k_neg',
    help: "vespo's exponent of the ratio, for advantages below 0" }),
  /** VESPO's λ for the others. */
  vespoLambdaNeg: option({ trainers: ['grpo'], always: false, default: 2, range: { from: 0 }, trl: 'vespo_lambda_neg',
    help: "vespo's decay in the ratio, for advantages below 0" }),
};
const { epsilon, ...OF_SINGLE } = POLICY_OPTIONS;
const { sapoTemperaturePos, sapoTemperatureNeg, vespoKPos, vespoLambdaPos, vespoKNeg, vespoLambdaNeg } =
  OF_SINGLE;

/** A column `oldLogprobs` with values above 0 means that the policy itself sampled the tokens: `POLICYS_OWN` of the shader. */
export const POLICYS_OWN = 1;

const ADVANTAGE_OF_TOKENS = {
  advantage: { per: 'row' },
  oldLogprobs: { per: 'row', default: POLICYS_OWN },
} as const;

/** Means no bound; the largest power of ten in float32. */
const UNBOUNDED = 1e38;

const SWITCH = { false: 0, true: 1 };
const BETA: LossOption = { default: 0, range: { from: 0 } };
const EPSILON_HIGH: LossOption = { default: 0.2, range: { from: 0 }, sameAs: 'epsilon' };
const LEVEL: LossOption = {
  default: 0,
  range: { from: 0, upTo: 1 },
  words: { token: 0, sequence: 1 },
};
const CORRECTED: LossOption = { default: 1, range: { from: 0, upTo: 1 }, words: SWITCH };
const MASK: LossOption = { default: UNBOUNDED };
const WITH_KL = {
  importanceSamplingLevel: LEVEL,
  useBiasCorrectionKl: CORRECTED,
  offPolicyMaskThreshold: MASK,
};

const CLIP_METRICS = (mean: (note: number) => MetricColumns[string]): MetricColumns => ({
  'clip_ratio/low_mean': mean(TOKEN_RECORD.firstNote),
  'clip_ratio/high_mean': mean(TOKEN_RECORD.secondNote),
  'clip_ratio/region_mean': mean(TOKEN_RECORD.fourthNote),
  'clip_ratio/low_min': { extreme: 'min', of: [TOKEN_RECORD.firstNote] },
  'clip_ratio/high_max': { extreme: 'max', of: [TOKEN_RECORD.secondNote] },
});
const weighed = (note: number) => [note, TOKEN_RECORD.noteWeight] as const;
const LOSS: MetricColumns = { loss: TOKEN_RECORD.loss };

/** REINFORCE leave-one-out (Ahmadian et al. 2024); β is in the advantages. */
const rloo: Loss = {
  name: 'rloo',
  unit: 'token',
  reads: { advantage: { per: 'sequence' }, oldLogprobs: { per: 'row', default: POLICYS_OWN } },
  shader: rlooShader,
  options: { beta: { default: 0.05, range: { from: 0 } }, epsilon, epsilonHigh: EPSILON_HIGH },
  metrics: { ...LOSS, ...CLIP_METRICS((note) => note) },
  referenceFree: true,
  over: 'sum',
};

/** The common part of GRPO's losses. */
const GROUP_RELATIVE = {
  unit: 'token',
  reads: ADVANTAGE_OF_TOKENS,
  metrics: LOSS,
  referenceMetrics: { kl: [TOKEN_RECORD.thirdNote, TOKEN_RECORD.tokens] },
} as const satisfies Partial<Loss>;

/** Clipped ratios: GRPO (Shao et al. 2024) with its original divisor, each completion's own length. */
const grpo: Loss = {
  ...GROUP_RELATIVE,
  name: 'grpo',
  shader: grpoShader,
  options: {
    beta: BETA,
    epsilon,
    epsilonHigh: EPSILON_HIGH,
    delta: { default: UNBOUNDED, range: { above: 0 } },
    ...WITH_KL,
    maxCompletionLength: { default: 256, range: { from: 1 } },
  },
  metrics: { ...LOSS, ...CLIP_METRICS(weighed) },
  over: 'sequence',
};

/** The same, divided by the tokens of the micro-batch. */
const bnpo: Loss = { ...grpo, name: 'bnpo', over: 'batch' };

/** The same, divided by the maximum completion length (Dr. GRPO, Liu et al. 2025). */
const drGrpo: Loss = { ...grpo, name: 'dr_grpo', over: 'constant' };

/** The same, divided by the tokens of the rollout batch (DAPO, Yu et al. 2025). */
const dapo: Loss = { ...grpo, name: 'dapo', over: 'rollout' };

/** The same as a sum (LUSPO, arXiv 2602.05261), meant for sequence ratios. */
const luspo: Loss = { ...grpo, name: 'luspo', over: 'sum' };

/** The ratio as a weight (MiniMax-M1, arXiv 2506.13585); `epsilonHigh` is its maximum itself. */
const cispo: Loss = {
  ...GROUP_RELATIVE,
  name: 'cispo',
  shader: cispoShader,
  options: { beta: BETA, epsilonHigh: { ...EPSILON_HIGH, sameAs: undefined }, ...WITH_KL },
  metrics: { ...LOSS, cispo_clip_ratio: weighed(TOKEN_RECORD.firstNote) },
  over: 'rollout',
};

/** A soft gate instead of clipping (arXiv 2511.20347). */
const sapo: Loss = {
  ...GROUP_RELATIVE,
  name: 'sapo',
  shader: sapoShader,
  options: { beta: BETA, sapoTemperaturePos, sapoTemperatureNeg, ...WITH_KL },
  over: 'sequence',
};

/** A smooth weight by the sequence ratio (arXiv 2602.10693). */
const vespo: Loss = {
  ...GROUP_RELATIVE,
  name: 'vespo',
  shader: vespoShader,
  options: { beta: BETA, vespoKPos, vespoLambdaPos, vespoKNeg, vespoLambdaNeg, ...WITH_KL },
  metrics: { ...LOSS, 'vespo/phi_seq_mean': weighed(TOKEN_RECORD.firstNote) },
  over: 'rollout',
};

/** The geometric mean of clipped ratios (arXiv 2507.20673), whose authors use 0.4 for both bounds. */
const gmpo: Loss = {
  ...GROUP_RELATIVE,
  name: 'gmpo',
  shader: gmpoShader,
  options: { beta: BETA, epsilon, epsilonHigh: EPSILON_HIGH },
  metrics: { ...LOSS, ...CLIP_METRICS(weighed) },
  over: 'sequence',
};

/** The losses of TRL's `GRPOTrainer`, and GMPO. */
export const GROUP_RELATIVE_LOSSES: readonly Loss[] = [
  grpo,
  bnpo,
  drGrpo,
  dapo,
  luspo,
  cispo,
  sapo,
  vespo,
  gmpo,
];

export const POLICY_LOSSES: readonly Loss[] = [rloo, ...GROUP_RELATIVE_LOSSES];

/** Its KL is in the rewards. */
export const RLOO_FAMILY = {
  losses: [rloo],
  lossType: 'rloo',
  usesReference: false,
} as const satisfies Family;

export const GRPO_FAMILY = {
  losses: GROUP_RELATIVE_LOSSES,
  lossType: 'dapo',
  usesReference: ({ beta }) => Number(beta ?? 0) > 0,
  // The rewards contain β then.
  prepared: (settings) => (settings.klIn === 'reward' ? { ...settings, beta: 0 } : settings),
} as const satisfies Family;
