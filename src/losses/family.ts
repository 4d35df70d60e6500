/**
 * What a family of losses is, as TRL's trainers know them, and the way from settings to a loss: which terms with which
 * weights, under which divergence, with or without a reference. The one place that says which settings go together.
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
  /** A loss of the family by name or one's own as a descriptor, or several whose weighted losses add up. */
  lossType: LossType | readonly LossType[];
  /** A weight for each of several; 1 where it is left out. */
  lossWeights?: readonly number[] | null;
  /** Which f-divergence holds the policy to the reference. */
  fDivergence?: string;
  /** α of the α-divergence. */
  fAlphaDivergenceCoef?: number;
  /** LD-DPO: the weight of tokens beyond the shorter completion's length; null is plain DPO. */
  ldAlpha?: number | null;
  /** WPO: whether pairs weigh by how likely the policy finds them. */
  useWeighting?: boolean;
  /** Options of the losses: `beta`, `labelSmoothing`, … */
  [option: string]: unknown;
}

/** What is minimised: a weighted list of losses on examples of one kind. */
export interface TrainingLoss {
  terms: readonly Term[];
  /** What all of them are about, and what that makes of an example. */
  about: Loss['unit'];
  unit: Unit;
  /** The columns that they read. */
  reads: ColumnSpecs;
  divergence: Divergence;
  /** 1 is plain. */
  ldAlpha: number;
  weighted: boolean;
  /** Whether π_ref has a part in it. */
  usesReference: boolean;
  metrics: MetricColumns;
}

export interface Family {
  /** The losses that belong, in the order in which they are listed. */
  readonly losses: readonly Loss[];
  /** TRL's default `loss_type`. */
  readonly lossType: string;
  readonly usesReference: boolean | ((settings: LossSettings) => boolean);
  /** What its losses are given of a run's settings; all as they are where it is left out. */
  readonly prepared?: (settings: LossSettings) => LossSettings;
  /** A term that comes on top, and the setting that is its weight. */
  readonly plus?: { readonly loss: Loss; readonly weight: string };
}

/** Settings that do not go together, or that nothing knows; says which, and the way out. */
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
  const losses = ([settings.lossType].flat() as LossType[]).map((type) => lossNamed(family, type));
  const names = losses.map(({ name }) => name);
  const [first] = losses;
  if (!first) throw new LossSettingsError(say`${setting('lossType')} is empty`, 'Name a loss');
  const weights = settings.lossWeights ?? names.map(() => 1);
  if (weights.length !== names.length || !weights.every(Number.isFinite)) {
    const what = say`${setting('lossWeights')} has ${weights.length} entries for ${names.length} losses (${names.join(', ')})`;
    throw new LossSettingsError(what, 'Give a number for each');
  }
  const terms = losses.map((loss, i) => term(loss, settings, weights[i] as number));
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

/** The family's loss of that name; one from outside need only take the same data. */
function lossNamed(family: Family, type: LossType): Loss {
  if (typeof type === 'string') {
    const found = family.losses.find(({ name }) => name === type);
    if (found) return found;
    const known = lossTypes(family);
    const wayOut = `${didYouMean(type, known)}Known are ${known.join(', ')}`;
    throw new LossSettingsError(`no loss is called "${type}" here`, wayOut);
  }
  const { unit } = lossNamed(family, family.lossType);
  if (type.unit === unit) return type;
  throw new LossSettingsError(
    `loss ${type.name} is for a ${type.unit}, not for a ${unit}`,
    'Take another trainer',
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
    throw new LossSettingsError(error.sentence, 'Change it, or take another loss');
  }
}

function divergenceOf({ fDivergence, fAlphaDivergenceCoef }: LossSettings): Divergence {
  const type = divergenceNamed(fDivergence ?? REVERSE_KL.type);
  if (type === undefined) {
    throw new LossSettingsError(
      `no divergence is called "${fDivergence}"`,
      `Known are ${Object.keys(DIVERGENCES).join(', ')}`,
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

/** Combinations that make no sense. */
const REFUSALS: readonly ((loss: TrainingLoss, family: Family) => void)[] = [
  ({ divergence, usesReference }) => {
    if (divergence.type === REVERSE_KL.type || usesReference) return;
    throw new LossSettingsError(
      say`${setting('fDivergence')} ${divergence.type} is a distance to the reference, and this loss has none`,
      'Leave it out, or take a loss of dpo',
    );
  },
  ({ divergence, terms }, { losses }) => {
    const unfit = terms.find(({ loss }) => !loss.divergences);
    if (divergence.type === REVERSE_KL.type || !unfit) return;
    const fit = losses.filter((loss) => loss.divergences).map(({ name }) => name);
    throw new LossSettingsError(
      say`${unfit.loss.name} is derived for the reverse KL, and ${setting('fDivergence')} is ${divergence.type}`,
      `Leave it out, or take ${fit.length > 0 ? `one of ${fit.join(', ')}` : 'a loss of dpo'}`,
    );
  },
  ({ ldAlpha, terms }) => {
    if (ldAlpha === 1 || terms.every(({ loss }) => loss.unit === 'pair')) return;
    throw new LossSettingsError(
      say`${setting('ldAlpha')} compares the lengths of a pair, and there are none here`,
      'Leave it out',
    );
  },
  ({ weighted, terms }) => {
    const joint = terms.find(({ loss }) => loss.joint || loss.unit !== 'pair');
    if (!weighted || !joint) return;
    throw new LossSettingsError(
      say`${setting('useWeighting')} weighs pairs, and ${joint.loss.name} has no loss of a single pair`,
      'Leave it out, or take another loss',
    );
  },
];
