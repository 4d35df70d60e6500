/**
 * A family of losses, as in TRL's trainers, and the way from settings to a loss: which terms with which
 * weights, under which divergence, with or without a reference. Only this file defines which settings can be combined.
 */
import { isOwn, own } from '../base/lookup.ts';
import { say, setting, type Words } from '../base/sentence.ts';
import { didYouMean } from '../base/suggest.ts';
import type { ColumnSpecs } from '../data/packing.ts';
import type { Term } from './completion-loss.ts';
import { DIVERGENCES, type Divergence, divergenceNamed, REVERSE_KL } from './divergences.ts';
import type { Loss } from './loss.ts';
import { type GivenOption, LossOptionError, lossOptions } from './options.ts';
import { type MetricColumns, PAIR_RECORD, type Unit, unitOf } from './units.ts';

/** A loss by its name in the catalogue, or a descriptor from outside. */
export type LossType = string | Loss;

/** Settings of a loss, under TRL's names in camelCase. */
export interface LossSettings {
  /** A loss of the family by name, or a user-defined descriptor, or several whose weighted losses add up. */
  lossType: LossType | readonly LossType[];
  /** One weight per loss; default: 1. */
  lossWeights?: readonly number[] | null;
  /** The f-divergence between the policy and the reference. */
  fDivergence?: string;
  /** α of the α-divergence. */
  fAlphaDivergenceCoef?: number;
  /** LD-DPO: the weight of tokens beyond the shorter completion's length; null is plain DPO. */
  ldAlpha?: number | null;
  /** WPO: whether pairs are weighted by their likelihood under the policy. */
  useWeighting?: boolean;
  /** Options of the losses: `beta`, `labelSmoothing`, … */
  [option: string]: unknown;
}

/** A weighted list of losses on examples of one kind, to be minimized. */
export interface TrainingLoss {
  terms: readonly Term[];
  /** The unit of all of them, and its layout in an example. */
  about: Loss['unit'];
  unit: Unit;
  /** The columns that they read. */
  reads: ColumnSpecs;
  divergence: Divergence;
  /** 1 is plain. */
  ldAlpha: number;
  weighted: boolean;
  /** Whether it uses π_ref. */
  usesReference: boolean;
  metrics: MetricColumns;
}

export interface Family {
  /** Its losses, in listing order. */
  readonly losses: readonly Loss[];
  /** TRL's default `loss_type`. */
  readonly lossType: string;
  readonly usesReference: boolean | ((settings: LossSettings) => boolean);
  /** Maps a run's settings to settings of its losses; default: unchanged. */
  readonly prepared?: (settings: LossSettings) => LossSettings;
  /** An additional term, and the setting for its weight. */
  readonly plus?: { readonly loss: Loss; readonly weight: string };
}

/** An invalid combination of settings, or an unknown name; the message says which, and what to do. */
export class LossSettingsError extends RangeError {
  override name = 'LossSettingsError';
  constructor(
    readonly what: Words,
    readonly wayOut: Words,
  ) {
    super(`${what}. ${wayOut}.`);
  }
}

/** The names of a family's losses. */
export function lossTypes(family: Family): string[] {
  return family.losses.map(({ name }) => name);
}

/** The loss that the settings describe. Throws {@link LossSettingsError}. */
export function lossOf(family: Family, given: LossSettings): TrainingLoss {
  const settings = family.prepared?.(given) ?? given;
  const losses = [settings.lossType].flat().map((type) => lossNamed(family, type));
  const names = losses.map(({ name }) => name);
  const [first] = losses;
  if (!first) throw new LossSettingsError(say`${setting('lossType')} is empty`, 'Give the name of a loss');
  const weights = settings.lossWeights ?? names.map(() => 1);
  if (weights.length !== names.length || !weights.every(Number.isFinite)) {
    const what = say`${setting('lossWeights')} has ${weights.length} entries for ${names.length} losses (${names.join(', ')})`;
    throw new LossSettingsError(what, 'Give one weight per loss');
  }
  const terms = losses.map((loss, i) => term(loss, settings, weights[i]));
  if (family.plus) {
    const weight = own(settings, family.plus.weight) as number;
    if (weight !== 0) terms.push(term(family.plus.loss, settings, weight));
  }
  const divergence = divergenceOf(settings);
  const { usesReference: asks } = family;
  const usesReference = typeof asks === 'function' ? asks(settings) : asks;
  const ldAlpha = settings.ldAlpha ?? 1;
  const loss: TrainingLoss = {
    terms,
    about: first.unit,
    unit: unitOf(first),
    reads: Object.assign({}, ...terms.map(({ loss }) => loss.reads)),
    divergence,
    ldAlpha,
    weighted: settings.useWeighting ?? false,
    usesReference,
    metrics: Object.assign(
      {},
      ...terms.toReversed().map(({ loss }) => loss.metrics),
      ...(usesReference ? terms.map(({ loss }) => loss.referenceMetrics) : []),
      settings.useWeighting ? { weights: PAIR_RECORD.weight } : {},
    ),
  };
  for (const refuse of REFUSALS) refuse(loss, family);
  return loss;
}

/** The family's loss with that name; a user-defined loss only needs the same unit. */
function lossNamed(family: Family, type: LossType): Loss {
  if (typeof type === 'string') {
    const found = family.losses.find(({ name }) => name === type);
    if (found) return found;
    const known = lossTypes(family);
    const wayOut = `${didYouMean(type, known)}Supported losses: ${known.join(', ')}`;
    throw new LossSettingsError(`unknown loss "${type}"`, wayOut);
  }
  const { unit } = lossNamed(family, family.lossType);
  if (type.unit === unit) return type;
  throw new LossSettingsError(
    `loss ${type.name} works on a ${type.unit}, but this trainer needs a loss on a ${unit}`,
    'Use another trainer',
  );
}

function term(loss: Loss, settings: LossSettings, weight: number): Term {
  const given = Object.entries(settings).filter(
    ([name, value]) => isOwn(loss.options, name) && value !== undefined,
  );
  const options = Object.fromEntries(given) as Record<string, GivenOption>;
  try {
    return { loss, options: lossOptions(loss, options), weight };
  } catch (error) {
    if (!(error instanceof LossOptionError)) throw error;
    throw new LossSettingsError(error.sentence, 'Change it, or use another loss');
  }
}

function divergenceOf({ fDivergence, fAlphaDivergenceCoef }: LossSettings): Divergence {
  const type = divergenceNamed(fDivergence ?? REVERSE_KL.type);
  if (type === undefined) {
    throw new LossSettingsError(
      `unknown divergence "${fDivergence}"`,
      `Supported divergences: ${Object.keys(DIVERGENCES).join(', ')}`,
    );
  }
  const alpha = fAlphaDivergenceCoef ?? REVERSE_KL.alpha;
  if (!Number.isFinite(Math.fround(alpha))) {
    throw new LossSettingsError(
      say`${setting('fAlphaDivergenceCoef')} is ${alpha}`,
      'Give a number; 0.5 is the default',
    );
  }
  return { type, alpha };
}

/** Rejects combinations that make no sense. */
const REFUSALS: readonly ((loss: TrainingLoss, family: Family) => void)[] = [
  ({ divergence, usesReference }) => {
    if (divergence.type === REVERSE_KL.type || usesReference) return;
    throw new LossSettingsError(
      say`${setting('fDivergence')} ${divergence.type} measures the distance to the reference, but this loss has no reference`,
      'Leave it out, or use a loss of dpo',
    );
  },
  ({ divergence, terms }, { losses }) => {
    const unfit = terms.find(({ loss }) => !loss.divergences);
    if (divergence.type === REVERSE_KL.type || !unfit) return;
    const fit = losses.filter((loss) => loss.divergences).map(({ name }) => name);
    throw new LossSettingsError(
      say`${unfit.loss.name} requires the reverse KL, but ${setting('fDivergence')} is ${divergence.type}`,
      `Leave it out, or use ${fit.length > 0 ? `one of ${fit.join(', ')}` : 'a loss of dpo'}`,
    );
  },
  ({ ldAlpha, terms }) => {
    if (ldAlpha === 1 || terms.every(({ loss }) => loss.unit === 'pair')) return;
    throw new LossSettingsError(
      say`${setting('ldAlpha')} compares the lengths of a pair, but this trainer has no pairs`,
      'Leave it out',
    );
  },
  ({ weighted, terms }) => {
    const joint = terms.find(({ loss }) => loss.joint || loss.unit !== 'pair');
    if (!weighted || !joint) return;
    throw new LossSettingsError(
      say`${setting('useWeighting')} weights pairs, but ${joint.loss.name} has no loss for a single pair`,
      'Leave it out, or use another loss',
    );
  },
];
