/**
 * A case for a loss as people write it down, and what is made of it: the loss that its options describe, and columns
 * of numbers for the kernels. Checks everything and says which row is wrong; computes nothing.
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
  /** Only where the loss has a reference. */
  referenceChosen?: number;
  referenceRejected?: number;
  /** Only where the loss takes means over tokens. */
  chosenTokens?: number;
  rejectedTokens?: number;
  /** By how much the chosen score should be larger; only for reward models, whose scores stand in place of log-probabilities. */
  margin?: number;
}

/** A labelled completion; `sft` takes it without reference and label. */
export interface ExampleNumbers {
  policy: number;
  reference?: number;
  tokens?: number;
  desirable?: boolean;
}

export interface LossCase {
  /** A family (`dpo`, `cpo`, `orpo`, `kto`, `sft`, `reward`), whose `lossType` then chooses, or a loss's own name. */
  loss?: string;
  /** The former name of `loss`, which is still understood. */
  objective?: string;
  /** TRL's names in camelCase; the trainer's defaults for what is left out. */
  options?: Readonly<Record<string, unknown>>;
  pairs?: readonly PairNumbers[];
  examples?: readonly ExampleNumbers[];
  /** KTO's baseline, counted from 0; 0 where it is left out. */
  kl?: number;
}

/** What the kernels read, a number for each completion in their order. */
export interface CaseColumns {
  sums: number[];
  reference: number[];
  tokens: number[];
  /** 1 desirable, 0 undesirable; only for examples. */
  labels?: number[];
  /** Of pairs, where the loss reads them. */
  margins?: number[];
}

/** Settings of a loss that a case has not the numbers for. */
const OUT_OF_PLACE: { readonly [Name in keyof DPOConfig]?: string } = {
  ldAlpha: 'weighs tokens by their place in the completion, and a case has only their sum',
  useWeighting: 'weighs pairs by the distributions their tokens come from, and a case has none',
  syncRefModel: 'moves the reference between steps, and a case has none',
  refModelMixupAlpha: 'moves the reference between steps, and a case has none',
  refModelSyncSteps: 'moves the reference between steps, and a case has none',
};

type Values = Readonly<Record<string, unknown>>;

/** The loss of a case; `notices` get what is given and has no part in it. Throws {@link InputError}. */
export function lossOfCase(
  { loss, objective, options = {} }: LossCase,
  where: string,
  notices: string[],
): TrainingLoss {
  if (loss !== undefined && objective !== undefined)
    throw new InputError(
      where,
      'has both "loss" and "objective", which are the same',
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

/** The family of that name, or one of a single loss; `home` is the trainer whose defaults hold. */
function familyOf(name: unknown, where: string): { home: FamilyName; family: Family } {
  const families = Object.entries(FAMILIES) as [FamilyName, Family][];
  const named = families.find(([each]) => each === name);
  if (named) return { home: named[0], family: named[1] };
  const loss = Object.values(LOSSES).find((each) => each.name === name);
  const owner = loss && families.find(([, family]) => family.losses.includes(loss));
  if (!loss || !owner) {
    const known = [...Object.keys(FAMILIES), ...Object.keys(LOSSES)];
    const wayOut = `Known are ${listed([...new Set(known)], 40)}`;
    throw new InputError(where, `no loss is called ${quote(name)}`, wayOut);
  }
  const { usesReference, prepared }: Family = owner[1];
  const family = { losses: [loss], lossType: loss.name, usesReference, ...(prepared && { prepared }) };
  return { home: owner[0], family };
}

/** The settings of a trainer's runs that are about the loss. */
function settingsOfLoss(home: FamilyName): SettingTable {
  const all: [string, SettingTable[string]][] = Object.entries(TRAINERS[home].settings);
  return Object.fromEntries(all.filter(([, { group }]) => group === 'loss'));
}

function checkOptions(given: Values, name: string | undefined, home: FamilyName, where: string): void {
  // Losses from outside stand in lossType as descriptors.
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
      const wayOut = `${didYouMean(option, names)}Known are ${listed(names, 40)}`;
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
    throw new InputError(where, what, `Leave lossType out, or make loss ${home}`);
  }
  const { plus }: Family = FAMILIES[home];
  const weight = plus && own(given, plus.weight);
  if (plus && weight) {
    const what = `${name} by its own name is that loss alone, but ${plus.weight} is ${weight}`;
    throw new InputError(where, what, `Make loss ${home} and lossType ${name}`);
  }
}

const isNumber = (value: unknown) => typeof value === 'number' && Number.isFinite(Math.fround(value));
const isText = (value: unknown) => typeof value === 'string';

/** What a case may say, by kind of setting. Whether a number is within its range is for the formula to say. */
const EXPECTED: Readonly<Record<KindName, [fits: (value: unknown) => boolean, expected: string]>> = {
  number: [isNumber, 'a number'],
  whole: [isNumber, 'a number'],
  numbers: [(value) => Array.isArray(value) && value.every(isNumber), 'a list of numbers'],
  boolean: [(value) => typeof value === 'boolean', 'true or false'],
  choice: [isText, 'a name'],
  names: [(value) => Array.isArray(value) && value.every(isText), 'a list of names'],
  losses: [(value) => [value].flat().every((each) => isText(each) || isOwnLoss(each)), 'a name, or a list'],
};

/** A line for each option that no term of the loss reads. */
function idleOptions(given: Values, { terms, divergence }: TrainingLoss, family: Family): string[] {
  const read = new Set(['lossType', 'lossWeights', 'fDivergence', 'useWeighting', family.plus?.weight]);
  if (family.prepared) read.add('klIn');
  if (divergence.type === 'alpha') read.add('fAlphaDivergenceCoef');
  for (const { loss } of terms) for (const option of Object.keys(loss.options)) read.add(option);
  const names = terms.map(({ loss }) => loss.name).join(' + ');
  return Object.keys(given)
    .filter((option) => !read.has(option))
    .map((option) => `${option} has no part in ${names}`);
}

/** Where the rows of a case stand, by what the loss is about. */
const ROWS = { pair: 'pairs', example: 'examples', token: 'tokens' } as const satisfies Record<
  Loss['unit'],
  string
>;

/** The rows of a case. Throws {@link InputError} where they are not there, or others are. */
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
  throw new InputError(where, `${names} takes ${field}, and ${found}`, `Give a list of ${field}`);
}

/** The numbers of a case, in the order of the kernels. Throws {@link InputError} that names the row. */
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
      if (value === undefined) throw new InputError(at, `has no ${name}`, `Give it: ${why}`);
      if (!isNumber(value)) throw new InputError(at, `${name} is ${quote(value)}`, 'Give a number');
      return value as number;
    };
    const completion = (policy: string, reference: string, tokens: string) => {
      columns.sums.push(need(policy, 'the log-probability under the policy'));
      columns.reference.push(
        loss.usesReference ? need(reference, `${names} compares with the reference`) : 0,
      );
      const count =
        byToken || own(values, tokens) !== undefined ? need(tokens, `${names} takes means over tokens`) : 1;
      if (!Number.isInteger(count) || count < 1 || count > 2 ** 24) {
        throw new InputError(at, `${tokens} is ${count}`, 'Give a whole number from 1');
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
      // The kernel means these: the whole of the mean stands in the first.
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
  if (baseline && kl === undefined) notices.push(`${name} has a KL baseline: without kl it counts as 0`);
  if (!baseline && kl !== undefined) notices.push(`kl has no part in ${name}`);
  return kl ?? 0;
}
