/**
 * Losses on single completions, as rows of the catalogue: those with labels, and the cross-entropy of texts.
 */
import apoZeroUnpairedShader from '../../shaders/losses/apo-zero-unpaired.wgsl';
import ktoShader from '../../shaders/losses/kto.wgsl';
import nllShader from '../../shaders/losses/nll.wgsl';
import type { Family } from './family.ts';
import { BETA, type Loss } from './loss.ts';
import { option } from './options.ts';
import { EXAMPLE_RECORD, KTO_METRICS } from './units.ts';

/** The options of these losses that are settings of trainers. */
// biome-ignore format: a row for each option
export const LABELLED_OPTIONS = {
  /** Weight of desirable completions. */
  desirableWeight: option({ trainers: ['kto'], always: true, default: 1, range: { from: 0 }, trl: 'desirable_weight',
    help: 'weight of desirable completions' }),
  /** Weight of undesirable completions. */
  undesirableWeight: option({ trainers: ['kto'], always: true, default: 1, range: { from: 0 }, trl: 'undesirable_weight',
    help: 'weight of undesirable completions' }),
};
const { desirableWeight, undesirableWeight } = LABELLED_OPTIONS;

const LABELLED = {
  unit: 'example',
  reads: { desirable: { per: 'example' } },
  options: { beta: BETA, desirableWeight, undesirableWeight },
  metrics: KTO_METRICS,
} as const satisfies Partial<Loss>;

/** KTO (Ethayarajh et al. 2024). */
const kto: Loss = { ...LABELLED, name: 'kto', shader: ktoShader, baseline: true };

/** APO on labeled completions, which needs no baseline. */
const apoZeroUnpaired: Loss = {
  ...LABELLED,
  name: 'apo_zero_unpaired',
  shader: apoZeroUnpairedShader,
};

/** Supervised fine-tuning. */
const nll: Loss = {
  name: 'nll',
  unit: 'example',
  shader: nllShader,
  // Every text is learned.
  reads: { desirable: { per: 'example', default: 1 } },
  over: 'step',
  options: { beta: { ...BETA, default: 1 } },
  metrics: { loss: EXAMPLE_RECORD.loss },
  referenceFree: true,
  perToken: true,
};

export const LABELLED_LOSSES: readonly Loss[] = [kto, apoZeroUnpaired, nll];

export const KTO_FAMILY = {
  losses: LABELLED_LOSSES.filter(({ referenceFree }) => !referenceFree),
  lossType: 'kto',
  usesReference: true,
} as const satisfies Family;

export const SFT_FAMILY = { losses: [nll], lossType: 'nll', usesReference: false } as const satisfies Family;
