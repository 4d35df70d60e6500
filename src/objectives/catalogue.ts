/**
 * The objectives as data: a formula in WGSL, its options and its way into the metrics. A new objective is one `.wgsl`
 * file and one row here; a user's own is the same row, made outside with {@link objectiveShader}. Nothing in the library
 * asks an objective for its name.
 */
import aotShader from '../../shaders/objectives/aot.wgsl';
import aotUnpairedShader from '../../shaders/objectives/aot-unpaired.wgsl';
import apoDownShader from '../../shaders/objectives/apo-down.wgsl';
import apoZeroShader from '../../shaders/objectives/apo-zero.wgsl';
import apoZeroUnpairedShader from '../../shaders/objectives/apo-zero-unpaired.wgsl';
import bcoPairShader from '../../shaders/objectives/bco-pair.wgsl';
import calDpoShader from '../../shaders/objectives/cal-dpo.wgsl';
import discopopShader from '../../shaders/objectives/discopop.wgsl';
import exoPairShader from '../../shaders/objectives/exo-pair.wgsl';
import hingeShader from '../../shaders/objectives/hinge.wgsl';
import ipoShader from '../../shaders/objectives/ipo.wgsl';
import ktoShader from '../../shaders/objectives/kto.wgsl';
import ncaPairShader from '../../shaders/objectives/nca-pair.wgsl';
import nllShader from '../../shaders/objectives/nll.wgsl';
import orpoShader from '../../shaders/objectives/orpo.wgsl';
import robustShader from '../../shaders/objectives/robust.wgsl';
import sftShader from '../../shaders/objectives/sft.wgsl';
import sigmoidShader from '../../shaders/objectives/sigmoid.wgsl';
import sigmoidNormShader from '../../shaders/objectives/sigmoid-norm.wgsl';
import simpoShader from '../../shaders/objectives/simpo.wgsl';
import sppoHardShader from '../../shaders/objectives/sppo-hard.wgsl';
import type { ColumnSpecs } from '../data/packing.ts';
import type { Shader } from '../gpu/shader.ts';
import { type ObjectiveOption, option } from './options.ts';
import { POLICY_LOSSES, POLICY_OPTIONS } from './policy-losses.ts';
import {
  type Divisor,
  EXAMPLE_RECORD,
  KTO_METRICS,
  type MetricColumns,
  PAIR_METRICS,
  PAIR_RECORD,
} from './units.ts';

/** Options of a formula by name: `beta`, which scales the rewards, and whatever else its `Options` declares. */
export type ObjectiveOptions = Readonly<Record<string, number> & { beta: number }>;

export interface Objective {
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
  readonly options: Readonly<Record<string, ObjectiveOption>> & { readonly beta: ObjectiveOption };
  /** What is logged of the records that the objective writes. */
  readonly metrics: MetricColumns;
  /** Whether it is made of the policy alone. */
  readonly referenceFree?: boolean;
  /** Whether the loss is made of scores, so that another divergence than the reverse KL makes sense. */
  readonly divergences?: boolean;
  /** Whether means over tokens are in it, or the option that has them there where it is not 0. */
  readonly perToken?: true | string;
  /** Whether a record's loss depends on the rest of its batch, so that it has no weight of its own. */
  readonly joint?: boolean;
  /** Whether each example brings another's completion along, for the KL baseline. */
  readonly baseline?: boolean;
  /** False if TRL has no such loss; or the options that TRL's has fixed. */
  readonly trl?: false | Readonly<Record<string, number>>;
}

/** β of a formula, which has a value at 0 too; the setting of the trainers is in `src/train/settings`. */
export const BETA: ObjectiveOption = { default: 0.1, range: { from: 0 } };
const DIVISOR: ObjectiveOption = { ...BETA, range: { from: 1e-6, reason: 'the loss divides by it' } };

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
  ...POLICY_OPTIONS,
};
const { labelSmoothing, discopopTau, ipoTokenMean, simpoGamma, desirableWeight, undesirableWeight } = OPTIONS;

/** What most objectives on pairs have in common. */
const PAIR = {
  unit: 'pair',
  options: { beta: BETA },
  metrics: PAIR_METRICS,
} as const satisfies Partial<Objective>;

/** The same, with labels that may be the wrong way round. */
const SMOOTHED = {
  ...PAIR,
  options: { beta: BETA, labelSmoothing },
} as const satisfies Partial<Objective>;

const NLL_LOSS: MetricColumns = { nll_loss: [PAIR_RECORD.nll, PAIR_RECORD.chosenTokens] };

/** DPO (Rafailov et al. 2023), with cDPO's label smoothing. */
export const sigmoid: Objective = { ...SMOOTHED, name: 'sigmoid', shader: sigmoidShader, divergences: true };

/** SLiC's hinge (Zhao et al. 2023). */
const hinge: Objective = { ...PAIR, name: 'hinge', shader: hingeShader, divergences: true };

/** IPO (Azar et al. 2024); `ipoTokenMean` 0 takes sums, as its equation has them. */
const ipo: Objective = {
  ...PAIR,
  name: 'ipo',
  shader: ipoShader,
  options: { beta: DIVISOR, ipoTokenMean },
  divergences: true,
  perToken: 'ipoTokenMean',
  trl: { ipoTokenMean: 1 },
};

/** Robust DPO (Chowdhury et al. 2024). */
const robust: Objective = {
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
const exoPair: Objective = {
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
const ncaPair: Objective = { ...PAIR, name: 'nca_pair', shader: ncaPairShader };

/** BCO (Jung et al. 2024). */
const bcoPair: Objective = { ...PAIR, name: 'bco_pair', shader: bcoPairShader };

/** SPPO (Wu et al. 2024). */
const sppoHard: Objective = {
  ...PAIR,
  name: 'sppo_hard',
  shader: sppoHardShader,
  options: { beta: DIVISOR },
};

/** AOT (Melnyk et al. 2024). */
const aot: Objective = { ...SMOOTHED, name: 'aot', shader: aotShader, joint: true };

/** AOT where the two completions of a pair have nothing to do with each other. */
const aotUnpaired: Objective = {
  ...SMOOTHED,
  name: 'aot_unpaired',
  shader: aotUnpairedShader,
  joint: true,
};

/** APO (D'Oosterlinck et al. 2024), for chosen completions that are better than the model. */
const apoZero: Objective = { ...PAIR, name: 'apo_zero', shader: apoZeroShader };

/** APO, for chosen completions that are worse than the model. */
const apoDown: Objective = { ...PAIR, name: 'apo_down', shader: apoDownShader };

/** DiscoPOP (Lu et al. 2024). */
const discopop: Objective = {
  ...PAIR,
  name: 'discopop',
  shader: discopopShader,
  options: { beta: BETA, discopopTau },
  divergences: true,
};

/** Cal-DPO (Xiao et al. 2024), whose authors' code calls the option `shift`. */
const calDpo: Objective = {
  ...PAIR,
  name: 'cal_dpo',
  shader: calDpoShader,
  options: { beta: DIVISOR, calDpoShift: OPTIONS.calDpoShift },
  trl: false,
};

/** DPO on token means (Lambert et al. 2024). */
const sigmoidNorm: Objective = {
  ...PAIR,
  name: 'sigmoid_norm',
  shader: sigmoidNormShader,
  divergences: true,
  perToken: true,
};

/** SimPO (Meng et al. 2024). */
const simpo: Objective = {
  ...SMOOTHED,
  name: 'simpo',
  shader: simpoShader,
  options: { beta: BETA, labelSmoothing, simpoGamma },
  referenceFree: true,
  perToken: true,
};

/** ORPO (Hong et al. 2024). */
const orpo: Objective = {
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
export const sft: Objective = {
  ...PAIR,
  name: 'sft',
  shader: sftShader,
  metrics: { ...PAIR_METRICS, ...NLL_LOSS },
  divergences: true,
  perToken: true,
};

const LABELLED = {
  unit: 'example',
  reads: { desirable: { per: 'example' } },
  options: { beta: BETA, desirableWeight, undesirableWeight },
  metrics: KTO_METRICS,
} as const satisfies Partial<Objective>;

/** KTO (Ethayarajh et al. 2024). */
export const kto: Objective = { ...LABELLED, name: 'kto', shader: ktoShader, baseline: true };

/** APO on labelled completions, which needs no baseline. */
const apoZeroUnpaired: Objective = {
  ...LABELLED,
  name: 'apo_zero_unpaired',
  shader: apoZeroUnpairedShader,
};

/** Supervised fine-tuning. */
export const nll: Objective = {
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
  simpo, orpo, sft, kto, apoZeroUnpaired, nll, ...POLICY_LOSSES,
];

/** All of them, by name. */
export const OBJECTIVES: Readonly<Record<string, Objective>> = Object.fromEntries(
  ALL.map((objective) => [objective.name, objective]),
);
