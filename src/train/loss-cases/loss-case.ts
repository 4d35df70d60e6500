/**
 * A case for a loss as people write it, and its conversion: the loss that its options describe, and columns
 * of numbers for the kernels. Checks everything and names the invalid row; computes nothing.
 */
import { isOwn, own } from '../../base/lookup.ts';
import type { KindName, SettingTable } from '../../base/setting.ts';
import { didYouMean } from '../../base/suggest.ts';
import { InputError, listed, quote } from '../../io/errors.ts';
import { LOSSES } from '../../losses/catalogue.ts';
import { FAMILIES, type FamilyName } from '../../losses/families.ts';
import type { Family, TrainingLoss } from '../../losses/family.ts';
import type { Loss } from '../../losses/loss.ts';
import { isOwnLoss } from '../../losses/shader.ts';
import { type DPOConfig, resolveLoss, TRAINERS } from '../config.ts';
import { defaultsOf } from '../settings/trainer.ts';

/** A pair: log-probabilities, summed over each completion's tokens. */
export interface PairNumbers {
  policyChosen: number;
  policyRejected: number;
  /** Only if the loss has a reference. */
  referenceChosen?: number;
  referenceRejected?: number;
  /** Only if the loss uses means over tokens. */
  chosenTokens?: number;
  rejectedTokens?: number;
  /** By how much the chosen score should be larger; only for reward models, whose scores replace log-probabilities. */
  margin?: number;
}

/** A labeled completion; `sft` accepts it without reference and label. */
export interface ExampleNumbers {
  policy: number;
  reference?: number;
  tokens?: number;
  desirable?: boolean;
}

export interface LossCase {
  /** A family (`dpo`, `cpo`, `orpo`, `kto`, `sft`, `reward`), whose `lossType` then selects the loss, or a loss's own name. */
  loss?: string;
  /** The former name of `loss`, which still works. */
  objective?: string;
  /** TRL's names in camelCase; missing ones have the trainer's defaults. */
  options?: Readonly<Record<string, unknown>>;
  pairs?: readonly PairNumbers[];
  examples?: readonly ExampleNumbers[];
  /** KTO's baseline; default: 0. */
  kl?: number;
}

/** The input of the kernels, one number per completion, in order. */
export interface CaseColumns {
  sums: number[];
  reference: number[];
  tokens: number[];
  /** 1 desirable, 0 undesirable; only for examples. */
  labels?: number[];
  /** For pairs, if the loss reads them. */
  margins?: number[];
}

/** Settings of a loss for which a case lacks the data. */
const OUT_OF_PLACE: { readonly [Name in keyof DPOConfig]?: string } = {
  ldAlpha: 'weights tokens by their position in the completion, but a case has only their sum',
  useWeighting: 'weights pairs by the distributions of their tokens, but a case has none',
  syncRefModel: 'moves the reference between steps, but a case has no steps',
  refModelMixupAlpha: 'moves the reference between steps, but a case has no steps',
  refModelSyncSteps: 'moves the reference between steps, but a case has no steps',
};

type Values = Readonly<Record<string, unknown>>;

/** The loss of a case; `notices` receives notices about unused inputs. Throws {@link InputError}. */
export function lossOfCase(
  { loss, objective, options = {} }: LossCase,
  where: string,
  notices: string[],
): TrainingLoss {
  if (loss !== undefined && objective !== undefined)
    throw new InputError(
      where,
      'has both "loss" and "objective", which mean the same',
      'Leave one of them out',
    );
  const name = loss ?? objective;
  const { home, family } = familyOf(name, where);
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value != null));
  checkOptions(given, name, home, where);
  const { defaults } = TRAINERS[home];
  const usual = defaultsOf({ settings: settingsOfLoss(home), defaults });
  const settings = { ...usual, lossType: family.lossType, ...given };
  try {
    const loss = resolveLoss(family, settings);
    notices.push(...idleOptions(given, loss, family));
    return loss;
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw error.at(where);
  }
}

/** The family with that name, or one for a single loss; `home` is the trainer that provides the defaults. */
function familyOf(name: unknown, where: string): { home: FamilyName; family: Family } {
  const families = Object.entries(FAMILIES) as [FamilyName, Family][];
  const named = families.find(([each]) => each === name);
  if (named) return { home: named[0], family: named[1] };
  const loss = Object.values(LOSSES).find((each) => each.name === name);
  const owner = loss && families.find(([, family]) => family.losses.includes(loss));
  if (!loss || !owner) {
    const known = [...Object.keys(FAMILIES), ...Object.keys(LOSSES)];
    const wayOut = `Supported losses: ${listed([...new Set(known)], 40)}`;
    throw new InputError(where, `unknown loss ${quote(name)}`, wayOut);
  }
  const { usesReference, prepared }: Family = owner[1];
  const family = { losses: [loss], lossType: loss.name, usesReference, ...(prepared && { prepared }) };
  return { home: owner[0], family };
}

/** The settings of a trainer that concern the loss. */
function settingsOfLoss(home: FamilyName): SettingTable {
  const all: [string, SettingTable[string]][] = Object.entries(TRAINERS[home].settings);
  return Object.fromEntries(all.filter(([, { group }]) => group === 'loss'));
}

function checkOptions(given: Values, name: string | undefined, home: FamilyName, where: string): void {
  // User-defined losses are descriptors in lossType.
  const { losses: ofFamily }: Family = FAMILIES[home];
  const losses = [...ofFamily, ...[given.lossType].flat().filter(isOwnLoss)];
  const settings = settingsOfLoss(home);
  const known = new Set([
    ...Object.keys(settings),
    ...losses.flatMap(({ options }) => Object.keys(options)),
    'lossType',
  ]);
  for (const [option, value] of Object.entries(given)) {
    if (!known.has(option)) {
      const names = [...known].filter((each) => !isOwn(OUT_OF_PLACE, each));
      const wayOut = `${didYouMean(option, names)}Supported options: ${listed(names, 40)}`;
      throw new InputError(where, `${name} has no option ${quote(option)}`, wayOut);
    }
    if (isOwn(OUT_OF_PLACE, option) && value !== false) {
      throw new InputError(where, `${option} ${OUT_OF_PLACE[option]}`, 'Leave it out, or train with it');
    }
    const { kind } = own(settings, option) ?? { kind: option === 'lossType' ? 'losses' : 'number' };
    const [fits, expected] = EXPECTED[kind];
    if (!fits(value)) throw new InputError(where, `${option} is ${quote(value)}`, `Give ${expected}`);
  }
  if (name === home) return;
  if ((given.lossType ?? name) !== name) {
    const what = `loss is ${name}, but lossType is ${quote(given.lossType)}`;
    throw new InputError(where, what, `Leave lossType out, or set loss to ${home}`);
  }
  const { plus }: Family = FAMILIES[home];
  const weight = plus && own(given, plus.weight);
  if (plus && weight) {
    const what = `the loss ${name} by its own name has no other terms, but ${plus.weight} is ${weight}`;
    throw new InputError(where, what, `Set loss to ${home} and lossType to ${name}`);
  }
}

const isNumber = (value: unknown) => typeof value === 'number' && Number.isFinite(Math.fround(value));
const isText = (value: unknown) => typeof value === 'string';

/** The allowed values in a case, by kind of setting. The formula checks the range of numbers. */
const EXPECTED: Readonly<Record<KindName, [fits: (value: unknown) => boolean, expected: string]>> = {
  number: [isNumber, 'a number'],
  whole: [isNumber, 'a number'],
  numbers: [(value) => Array.isArray(value) && value.every(isNumber), 'a list of numbers'],
  boolean: [(value) => typeof value === 'boolean', 'true or false'],
  choice: [isText, 'a name'],
  names: [(value) => Array.isArray(value) && value.every(isText), 'a list of names'],
  losses: [(value) => [value].flat().every((each) => isText(each) || isOwnLoss(each)), 'a name, or a list'],
};

/** A notice for each option that no term of the loss reads. */
function idleOptions(given: Values, { terms, divergence }: TrainingLoss, family: Family): string[] {
  const read = new Set(['lossType', 'lossWeights', 'fDivergence', 'useWeighting', family.plus?.weight]);
  if (family.prepared) read.add('klIn');
  if (divergence.type === 'alpha') read.add('fAlphaDivergenceCoef');
  for (const { loss } of terms) for (const option of Object.keys(loss.options)) read.add(option);
  const names = terms.map(({ loss }) => loss.name).join(' + ');
  return Object.keys(given)
    .filter((option) => !read.has(option))
    .map((option) => `${option} is not used by ${names}`);
}

/** The field of a case's rows, by the loss's unit. */
const ROWS = { pair: 'pairs', example: 'examples', token: 'tokens' } as const satisfies Record<
  Loss['unit'],
  string
>;

/** The rows of a case. Throws {@link InputError} if they are missing, or are of another kind. */
export function rowsOfCase(
  input: Values | LossCase,
  { about, terms }: TrainingLoss,
  where: string,
): unknown[] {
  const field = ROWS[about];
  const other = Object.values(ROWS).find(
    (each) => each !== field && own(input as Values, each) !== undefined,
  );
  const rows = own(input as Values, field);
  if (Array.isArray(rows) && rows.length > 0 && other === undefined) return rows;
  const names = terms.map(({ loss }) => loss.name).join(' + ');
  const found = other === undefined ? `there are no ${field}` : `there are ${other}`;
  throw new InputError(where, `${names} needs ${field}, but ${found}`, `Give a list of ${field}`);
}

/** The numbers of a case, in kernel order. Throws {@link InputError} that names the row. */
export function columnsOfCase(
  input: LossCase,
  loss: TrainingLoss,
  where: string,
  notices: string[],
): CaseColumns {
  const losses = loss.terms.map(({ loss }) => loss);
  const [first] = losses as [Loss];
  const names = losses.map(({ name }) => name).join(' + ');
  const rows = rowsOfCase(input, loss, where);
  const byToken = loss.terms.some(({ loss: { perToken }, options = {} }) =>
    typeof perToken === 'string' ? own(options, perToken) !== 0 : perToken,
  );
  const columns: CaseColumns = { sums: [], reference: [], tokens: [] };
  const reader = (row: unknown, index: number) => {
    const at = `${where}, ${ROWS[first.unit]} ${index + 1}`;
    const values = (typeof row === 'object' && row !== null ? row : {}) as Values;
    const need = (name: string, why: string) => {
      const value = own(values, name);
      if (value === undefined) throw new InputError(at, `has no ${name}`, `Provide it: ${why}`);
      if (!isNumber(value)) throw new InputError(at, `${name} is ${quote(value)}`, 'Give a number');
      return value as number;
    };
    const completion = (policy: string, reference: string, tokens: string) => {
      columns.sums.push(need(policy, 'the log-probability under the policy'));
      columns.reference.push(
        loss.usesReference ? need(reference, `${names} compares with the reference`) : 0,
      );
      const count =
        byToken || own(values, tokens) !== undefined ? need(tokens, `${names} uses means over tokens`) : 1;
      if (!Number.isInteger(count) || count < 1 || count > 2 ** 24) {
        throw new InputError(at, `${tokens} is ${count}`, 'Give a positive integer');
      }
      columns.tokens.push(count);
    };
    return { at, values, completion };
  };
  if (first.unit === 'pair') {
    const margins = rows.map((row, p) => {
      const { at, values, completion } = reader(row, p);
      completion('policyChosen', 'referenceChosen', 'chosenTokens');
      completion('policyRejected', 'referenceRejected', 'rejectedTokens');
      const margin = own(values, 'margin') ?? 0;
      if (isNumber(margin)) return margin as number;
      throw new InputError(at, `margin is ${quote(margin)}`, 'Give a number, or leave it out');
    });
    return isOwn(loss.reads, 'margin') ? { ...columns, margins } : columns;
  }
  const kl = baselineOf(input, first, where, notices);
  const labels = rows.map((row, e) => {
    const { at, values, completion } = reader(row, e);
    completion('policy', 'reference', 'tokens');
    if (first.baseline) {
      // The kernel averages these, so the first one contains the whole sum.
      columns.sums.push(e === 0 ? kl * rows.length : 0);
      columns.reference.push(0);
      columns.tokens.push(1);
    }
    if (typeof values.desirable === 'boolean' || first.referenceFree) return values.desirable ? 1 : 0;
    throw new InputError(at, `desirable is ${quote(values.desirable)}`, 'Give true or false');
  });
  return { ...columns, labels };
}

function baselineOf({ kl }: LossCase, { name, baseline }: Loss, where: string, notices: string[]): number {
  if (kl !== undefined && !isNumber(kl)) {
    throw new InputError(where, `kl is ${quote(kl)}`, 'Give a number, or leave it out');
  }
  if (baseline && kl === undefined)
    notices.push(`${name} has a KL baseline, and kl is missing: it counts as 0`);
  if (!baseline && kl !== undefined) notices.push(`kl is not used by ${name}`);
  return kl ?? 0;
}
