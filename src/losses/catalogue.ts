/**
 * The losses as data: a formula in WGSL, its options and its way into the metrics. A new loss is one `.wgsl`
 * file and one row here; a user's own is the same row, made outside with {@link lossShader}. Nothing in the library
 * asks a loss for its name.
 */
import aotShader from '../../shaders/losses/aot.wgsl';
import aotUnpairedShader from '../../shaders/losses/aot-unpaired.wgsl';
import apoDownShader from '../../shaders/losses/apo-down.wgsl';
import apoZeroShader from '../../shaders/losses/apo-zero.wgsl';
import apoZeroUnpairedShader from '../../shaders/losses/apo-zero-unpaired.wgsl';
import bcoPairShader from '../../shaders/losses/bco-pair.wgsl';
import calDpoShader from '../../shaders/losses/cal-dpo.wgsl';
import discopopShader from '../../shaders/losses/discopop.wgsl';
import exoPairShader from '../../shaders/losses/exo-pair.wgsl';
import hingeShader from '../../shaders/losses/hinge.wgsl';
import ipoShader from '../../shaders/losses/ipo.wgsl';
import ktoShader from '../../shaders/losses/kto.wgsl';
import ncaPairShader from '../../shaders/losses/nca-pair.wgsl';
import nllShader from '../../shaders/losses/nll.wgsl';
import orpoShader from '../../shaders/losses/orpo.wgsl';
import robustShader from '../../shaders/losses/robust.wgsl';
import sftShader from '../../shaders/losses/sft.wgsl';
import sigmoidShader from '../../shaders/losses/sigmoid.wgsl';
import sigmoidNormShader from '../../shaders/losses/sigmoid-norm.wgsl';
import simpoShader from '../../shaders/losses/simpo.wgsl';
import sppoHardShader from '../../shaders/losses/sppo-hard.wgsl';
import type { ColumnSpecs } from '../data/packing.ts';
import type { Shader } from '../gpu/shader.ts';
import { a2po } from './a2po-loss.ts';
import { type LossOption, option } from './options.ts';
import { POLICY_LOSSES, POLICY_OPTIONS } from './policy-losses.ts';
import { PPO_LOSSES, PPO_OPTIONS } from './ppo-losses.ts';
import { REWARD_LOSSES, REWARD_OPTIONS } from './reward-losses.ts';
import {
  type Divisor,
  EXAMPLE_RECORD,
  KTO_METRICS,
  type MetricColumns,
  PAIR_METRICS,
  PAIR_RECORD,
} from './units.ts';

/** Options of a formula by name: `beta`, which scales the rewards, and whatever else its `Options` declares. */
export type LossOptions = Readonly<Record<string, number> & { beta: number }>;

export interface Loss {
  /** TRL's `loss_type`. */
  readonly name: string;
  /** What the formula is about: a chosen and a rejected completion, a completion, or a token. */
  readonly unit: 'pair' | 'example' | 'token';
  /** The formula with its driver: `lib/pairwise.wgsl`, `lib/labelled.wgsl` or `lib/tokenwise.wgsl`. */
  readonly shader: Shader;
  /** Columns that it reads beside log-probabilities: `oldLogprobs` here is `old_logprobs` in the shader. */
  readonly reads?: ColumnSpecs;
  /** What divides a sum over tokens where it is made into a mean; the batch's mean length where it is left out. */
  readonly over?: Divisor;
  /** Every option of the formula: `labelSmoothing` here is `label_smoothing` in the shader. */
  readonly options: Readonly<Record<string, LossOption>> & { readonly beta: LossOption };
  /** What is logged of the records that the loss writes. */
  readonly metrics: MetricColumns;
  /** What is logged of them beside where the run has a reference. */
  readonly referenceMetrics?: MetricColumns;
  /** Whether it is made of the policy alone. */
  readonly referenceFree?: boolean;
  /** Whether the loss is made of scores, so that another divergence than the reverse KL makes sense. */
  readonly divergences?: boolean;
  /** Whether means over tokens are in it, or the option that has them there where it is not 0. */
  readonly perToken?: true | string;
  /** Whether its derivative is to log π with every token alike, however LD-DPO weighs them: a cross-entropy. Of pairs alone. */
  readonly whole?: boolean;
  /** Whether a record's loss depends on the rest of its batch, so that it has no weight of its own. */
  readonly joint?: boolean;
  /** Whether each example brings another's completion along, for the KL baseline. */
  readonly baseline?: boolean;
  /** False if TRL has no such loss; or the options that TRL's has fixed. */
  readonly trl?: false | Readonly<Record<string, number>>;
}

/** β of a formula, which has a value at 0 too; the setting of the trainers is in `src/train/settings`. */
export const BETA: LossOption = { default: 0.1, range: { from: 0 } };
const DIVISOR: LossOption = { ...BETA, range: { from: 1e-6, reason: 'the loss divides by it' } };

/**
 * The options that trainers have as settings, in their order there. A formula reads those that its row names, and its row
 * may give one a default or a range of its own.
 */
// biome-ignore format: a row for each option
export const OPTIONS = {
  /** cDPO, robust DPO and EXO: the share of pairs whose preference is taken to be wrong. */
  labelSmoothing: option({ trainers: ['dpo', 'cpo'], always: true, default: 0, range: { from: 0, upTo: 0.5 }, trl: 'label_smoothing',
    help: 'share of pairs taken to be the wrong way round (cDPO)' }),
  /** DiscoPOP's temperature. */
  discopopTau: option({ trainers: ['dpo'], always: true, default: 0.05, range: { from: 1e-3, reason: 'the loss divides by it' }, trl: 'discopop_tau',
    help: "temperature of discopop's blend" }),
  /** 1 where IPO averages over tokens, as TRL does, 0 where it sums, as its paper does. */
  ipoTokenMean: option({ trainers: ['dpo'], always: true, default: 1, range: { from: 0, upTo: 1 }, trl: null,
    help: '1 where ipo averages over tokens, 0 where it sums' }),
  /** Cal-DPO's s: the chosen log-ratio is aimed at (1 − s)/β, the rejected one at −s/β. */
  calDpoShift: option({ trainers: ['dpo'], always: false, default: 0.5, range: { from: 0, upTo: 1 }, trl: null,
    help: 'how much of the distance 1/β falls to the rejected completion (cal_dpo)' }),
  /** Weight of the chosen completion's cross-entropy; 0 with `simpo` is SimPO. */
  cpoAlpha: option({ trainers: ['cpo'], always: true, default: 1, range: { from: 0 }, trl: 'cpo_alpha',
    help: "weight of the chosen completion's cross-entropy" }),
  /** SimPO's target margin γ. */
  simpoGamma: option({ trainers: ['cpo'], always: true, default: 0.5, range: {}, trl: 'simpo_gamma',
    help: "SimPO's target margin" }),
  /** Weight of desirable completions. */
  desirableWeight: option({ trainers: ['kto'], always: true, default: 1, range: { from: 0 }, trl: 'desirable_weight',
    help: 'weight of desirable completions' }),
  /** Weight of undesirable completions. */
  undesirableWeight: option({ trainers: ['kto'], always: true, default: 1, range: { from: 0 }, trl: 'undesirable_weight',
    help: 'weight of undesirable completions' }),
  ...REWARD_OPTIONS,
  ...POLICY_OPTIONS,
  ...PPO_OPTIONS,
};
const { labelSmoothing, discopopTau, ipoTokenMean, simpoGamma, desirableWeight, undesirableWeight } = OPTIONS;

/** What most losses on pairs have in common. */
const PAIR = {
  unit: 'pair',
  options: { beta: BETA },
  metrics: PAIR_METRICS,
} as const satisfies Partial<Loss>;

/** The same, with labels that may be the wrong way round. */
const SMOOTHED = {
  ...PAIR,
  options: { beta: BETA, labelSmoothing },
} as const satisfies Partial<Loss>;

const NLL_LOSS: MetricColumns = { nll_loss: { mean: PAIR_RECORD.nll, by: PAIR_RECORD.chosenTokens } };

/** DPO (Rafailov et al. 2023), with cDPO's label smoothing. */
export const sigmoid: Loss = { ...SMOOTHED, name: 'sigmoid', shader: sigmoidShader, divergences: true };

/** SLiC's hinge (Zhao et al. 2023). */
const hinge: Loss = { ...PAIR, name: 'hinge', shader: hingeShader, divergences: true };

/** IPO (Azar et al. 2024); `ipoTokenMean` 0 takes sums, as its equation has them. */
const ipo: Loss = {
  ...PAIR,
  name: 'ipo',
  shader: ipoShader,
  options: { beta: DIVISOR, ipoTokenMean },
  divergences: true,
  perToken: 'ipoTokenMean',
  trl: { ipoTokenMean: 1 },
};

/** Robust DPO (Chowdhury et al. 2024). */
const robust: Loss = {
  ...SMOOTHED,
  name: 'robust',
  shader: robustShader,
  options: {
    beta: BETA,
    labelSmoothing: {
      default: 0,
      range: { from: 0, upTo: 0.4999999, reason: 'the loss divides by 1 − 2 labelSmoothing' },
    },
  },
  divergences: true,
};

/** EXO (Ji et al. 2024), whose authors take 0.001 for labels that are certain. */
const exoPair: Loss = {
  ...PAIR,
  name: 'exo_pair',
  shader: exoPairShader,
  options: {
    beta: BETA,
    labelSmoothing: {
      default: 1e-3,
      range: {
        from: 1e-6,
        upTo: 0.5,
        reason: 'the loss takes its logarithm; 0.001 stands for certain labels',
      },
    },
  },
  divergences: true,
};

/** NCA (Chen et al. 2024). */
const ncaPair: Loss = { ...PAIR, name: 'nca_pair', shader: ncaPairShader };

/** BCO (Jung et al. 2024). */
const bcoPair: Loss = { ...PAIR, name: 'bco_pair', shader: bcoPairShader };

/** SPPO (Wu et al. 2024). */
const sppoHard: Loss = {
  ...PAIR,
  name: 'sppo_hard',
  shader: sppoHardShader,
  options: { beta: DIVISOR },
};

/** AOT (Melnyk et al. 2024). */
const aot: Loss = { ...SMOOTHED, name: 'aot', shader: aotShader, joint: true };

/** AOT where the two completions of a pair have nothing to do with each other. */
const aotUnpaired: Loss = {
  ...SMOOTHED,
  name: 'aot_unpaired',
  shader: aotUnpairedShader,
  joint: true,
};

/** APO (D'Oosterlinck et al. 2024), for chosen completions that are better than the model. */
const apoZero: Loss = { ...PAIR, name: 'apo_zero', shader: apoZeroShader };

/** APO, for chosen completions that are worse than the model. */
const apoDown: Loss = { ...PAIR, name: 'apo_down', shader: apoDownShader };

/** DiscoPOP (Lu et al. 2024). */
const discopop: Loss = {
  ...PAIR,
  name: 'discopop',
  shader: discopopShader,
  options: { beta: BETA, discopopTau },
  divergences: true,
};

/** Cal-DPO (Xiao et al. 2024), whose authors' code calls the option `shift`. */
const calDpo: Loss = {
  ...PAIR,
  name: 'cal_dpo',
  shader: calDpoShader,
  options: { beta: DIVISOR, calDpoShift: OPTIONS.calDpoShift },
  trl: false,
};

/** DPO on token means (Lambert et al. 2024). */
const sigmoidNorm: Loss = {
  ...PAIR,
  name: 'sigmoid_norm',
  shader: sigmoidNormShader,
  divergences: true,
  perToken: true,
};

/** SimPO (Meng et al. 2024). */
const simpo: Loss = {
  ...SMOOTHED,
  name: 'simpo',
  shader: simpoShader,
  options: { beta: BETA, labelSmoothing, simpoGamma },
  referenceFree: true,
  perToken: true,
};

/** ORPO (Hong et al. 2024). */
const orpo: Loss = {
  ...PAIR,
  name: 'orpo',
  shader: orpoShader,
  metrics: {
    ...PAIR_METRICS,
    ...NLL_LOSS,
    log_odds_chosen: PAIR_RECORD.firstNote,
    log_odds_ratio: PAIR_RECORD.secondNote,
  },
  referenceFree: true,
  perToken: true,
};

/** Cross-entropy of the chosen completion, for lists (RPO, MPO) and for CPO. */
export const sft: Loss = {
  ...PAIR,
  name: 'sft',
  shader: sftShader,
  whole: true,
  metrics: { ...PAIR_METRICS, ...NLL_LOSS },
  divergences: true,
  perToken: true,
};

const LABELLED = {
  unit: 'example',
  reads: { desirable: { per: 'example' } },
  options: { beta: BETA, desirableWeight, undesirableWeight },
  metrics: KTO_METRICS,
} as const satisfies Partial<Loss>;

/** KTO (Ethayarajh et al. 2024). */
export const kto: Loss = { ...LABELLED, name: 'kto', shader: ktoShader, baseline: true };

/** APO on labelled completions, which needs no baseline. */
const apoZeroUnpaired: Loss = {
  ...LABELLED,
  name: 'apo_zero_unpaired',
  shader: apoZeroUnpairedShader,
};

/** Supervised fine-tuning. */
export const nll: Loss = {
  name: 'nll',
  unit: 'example',
  shader: nllShader,
  // Every text is one to learn.
  reads: { desirable: { per: 'example', default: 1 } },
  over: 'step',
  options: { beta: { ...BETA, default: 1 } },
  metrics: { loss: EXAMPLE_RECORD.loss },
  referenceFree: true,
  perToken: true,
};

// biome-ignore format: the order in which they are listed
const ALL = [
  sigmoid, hinge, ipo, robust, exoPair, ncaPair, bcoPair, sppoHard, aot, aotUnpaired, apoZero, apoDown, discopop, calDpo, sigmoidNorm,
  simpo, orpo, sft, kto, apoZeroUnpaired, nll, ...REWARD_LOSSES, ...POLICY_LOSSES, ...PPO_LOSSES, a2po,
];

/** All of them, by name. */
export const LOSSES: Readonly<Record<string, Loss>> = Object.fromEntries(
  ALL.map((loss) => [loss.name, loss]),
);
