/**
 * Losses on pairs, as rows of the catalogue, and the families that consist of them.
 */
import aotShader from '../../shaders/losses/aot.wgsl';
import aotUnpairedShader from '../../shaders/losses/aot-unpaired.wgsl';
import apoDownShader from '../../shaders/losses/apo-down.wgsl';
import apoZeroShader from '../../shaders/losses/apo-zero.wgsl';
import bcoPairShader from '../../shaders/losses/bco-pair.wgsl';
import calDpoShader from '../../shaders/losses/cal-dpo.wgsl';
import discopopShader from '../../shaders/losses/discopop.wgsl';
import exoPairShader from '../../shaders/losses/exo-pair.wgsl';
import hingeShader from '../../shaders/losses/hinge.wgsl';
import ipoShader from '../../shaders/losses/ipo.wgsl';
import ncaPairShader from '../../shaders/losses/nca-pair.wgsl';
import orpoShader from '../../shaders/losses/orpo.wgsl';
import robustShader from '../../shaders/losses/robust.wgsl';
import sftShader from '../../shaders/losses/sft.wgsl';
import sigmoidShader from '../../shaders/losses/sigmoid.wgsl';
import sigmoidNormShader from '../../shaders/losses/sigmoid-norm.wgsl';
import simpoShader from '../../shaders/losses/simpo.wgsl';
import sppoHardShader from '../../shaders/losses/sppo-hard.wgsl';
import type { Family } from './family.ts';
import { BETA, type Loss } from './loss.ts';
import { type LossOption, option } from './options.ts';
import { type MetricColumns, PAIR_METRICS, PAIR_RECORD } from './units.ts';

const DIVISOR: LossOption = { ...BETA, range: { from: 1e-6, reason: 'the loss divides by it' } };

/** The options of these losses that are settings of trainers, in their order there. */
// biome-ignore format: a row for each option
export const PAIR_OPTIONS = {
  /** cDPO, robust DPO and EXO: the assumed share of pairs with a wrong preference. */
  labelSmoothing: option({ trainers: ['dpo', 'cpo'], always: true, default: 0, range: { from: 0, upTo: 0.5 }, trl: 'label_smoothing',
    help: 'assumed share of pairs with swapped labels (cDPO)' }),
  /** DiscoPOP's temperature. */
  discopopTau: option({ trainers: ['dpo'], always: true, default: 0.05, range: { from: 1e-3, reason: 'the loss divides by it' }, trl: 'discopop_tau',
    help: "temperature of discopop's mixture" }),
  /** 1: IPO averages over tokens, as in TRL; 0: it sums, as in its paper. */
  ipoTokenMean: option({ trainers: ['dpo'], always: true, default: 1, range: { from: 0, upTo: 1 }, trl: null,
    help: '1: ipo averages over tokens; 0: it sums' }),
  /** Cal-DPO's s: the target of the chosen log-ratio is (1 − s)/β, that of the rejected one −s/β. */
  calDpoShift: option({ trainers: ['dpo'], always: false, default: 0.5, range: { from: 0, upTo: 1 }, trl: null,
    help: 'share of the target margin 1/β assigned to the rejected completion (cal_dpo)' }),
  /** Weight of the chosen completion's cross-entropy; 0 with `simpo` is SimPO. */
  cpoAlpha: option({ trainers: ['cpo'], always: true, default: 1, range: { from: 0 }, trl: 'cpo_alpha',
    help: "weight of the chosen completion's cross-entropy" }),
  /** SimPO's target margin γ. */
  simpoGamma: option({ trainers: ['cpo'], always: true, default: 0.5, range: {}, trl: 'simpo_gamma',
    help: "SimPO's target margin" }),
};
const { labelSmoothing, discopopTau, ipoTokenMean, calDpoShift, simpoGamma } = PAIR_OPTIONS;

/** The common part of most losses on pairs. */
const PAIR = {
  unit: 'pair',
  options: { beta: BETA },
  metrics: PAIR_METRICS,
} as const satisfies Partial<Loss>;

/** The same, with labels that may be swapped. */
const SMOOTHED = {
  ...PAIR,
  options: { beta: BETA, labelSmoothing },
} as const satisfies Partial<Loss>;

const NLL_LOSS: MetricColumns = { nll_loss: { mean: PAIR_RECORD.nll, by: PAIR_RECORD.chosenTokens } };

/** DPO (Rafailov et al. 2023), with cDPO's label smoothing. */
export const sigmoid: Loss = { ...SMOOTHED, name: 'sigmoid', shader: sigmoidShader, divergences: true };

/** SLiC's hinge (Zhao et al. 2023). */
const hinge: Loss = { ...PAIR, name: 'hinge', shader: hingeShader, divergences: true };

/** IPO (Azar et al. 2024); `ipoTokenMean` 0 uses sums, as in its equation. */
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

/** EXO (Ji et al. 2024), whose authors use 0.001 for certain labels. */
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
        reason: 'the loss uses its logarithm; use 0.001 for certain labels',
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

/** AOT for unrelated chosen and rejected completions. */
const aotUnpaired: Loss = {
  ...SMOOTHED,
  name: 'aot_unpaired',
  shader: aotUnpairedShader,
  joint: true,
};

/** APO (D'Oosterlinck et al. 2024), for chosen completions that are better than the model's. */
const apoZero: Loss = { ...PAIR, name: 'apo_zero', shader: apoZeroShader };

/** APO, for chosen completions that are worse than the model's. */
const apoDown: Loss = { ...PAIR, name: 'apo_down', shader: apoDownShader };

/** DiscoPOP (Lu et al. 2024). */
const discopop: Loss = {
  ...PAIR,
  name: 'discopop',
  shader: discopopShader,
  options: { beta: BETA, discopopTau },
  divergences: true,
};

/** Cal-DPO (Xiao et al. 2024), whose code calls the option `shift`. */
const calDpo: Loss = {
  ...PAIR,
  name: 'cal_dpo',
  shader: calDpoShader,
  options: { beta: DIVISOR, calDpoShift },
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
const sft: Loss = {
  ...PAIR,
  name: 'sft',
  shader: sftShader,
  whole: true,
  metrics: { ...PAIR_METRICS, ...NLL_LOSS },
  divergences: true,
  perToken: true,
};

// biome-ignore format: the order in which they are listed
export const PAIR_LOSSES: readonly Loss[] = [
  sigmoid, hinge, ipo, robust, exoPair, ncaPair, bcoPair, sppoHard, aot, aotUnpaired, apoZero, apoDown, discopop, calDpo, sigmoidNorm,
  simpo, orpo, sft,
];

export const DPO_FAMILY = {
  losses: PAIR_LOSSES.filter(({ referenceFree }) => !referenceFree),
  lossType: 'sigmoid',
  usesReference: true,
} as const satisfies Family;

export const CPO_FAMILY = {
  losses: [sigmoid, hinge, ipo, simpo],
  lossType: 'sigmoid',
  usesReference: false,
  plus: { loss: sft, weight: 'cpoAlpha' },
} as const satisfies Family;

export const ORPO_FAMILY = {
  losses: [orpo],
  lossType: 'orpo',
  usesReference: false,
} as const satisfies Family;

/** TRL's OnlineDPO has these two. */
export const ONLINE_DPO_FAMILY = {
  losses: [sigmoid, ipo],
  lossType: 'sigmoid',
  usesReference: true,
} as const satisfies Family;
