/**
 * Options of formulas: how one is declared, and the values that a formula gets. The declarations themselves stand in the
 * catalogue, or in a descriptor from outside.
 */
import { isOwn, own } from '../base/lookup.ts';
import { inRange, type Range, rangeText } from '../base/range.ts';
import { type Sentence, say, setting } from '../base/sentence.ts';
import { number, type OtherNames, type Parts, type Setting, type TrlName } from '../base/setting.ts';
import type { FamilyName } from './families.ts';
import type { Loss, LossOptions } from './loss.ts';

/** An option as a formula needs it. */
export interface LossOption {
  readonly default: number;
  /** The values that the formula can take; any number if it is left out. */
  readonly range?: Range;
  /** Another option of the formula, whose value it has where it is left out. */
  readonly sameAs?: string | undefined;
  /** Words and truth values that stand for numbers: `{ token: 0, sequence: 1 }`. */
  readonly words?: Readonly<Record<string, number>>;
}

interface OptionParts<Trl extends TrlName, Trainer extends FamilyName, Always extends boolean>
  extends Omit<Parts<number, Trl>, 'group' | 'flag' | 'aliases'> {
  readonly range: Range;
  /** The trainers that have it as a setting. */
  readonly trainers: readonly Trainer[];
  /**
   * True for a setting of every run of these trainers, so that run.json and checkpoints hold it; false for a setting of the
   * runs whose losses read it. Only options as old as the first run.json are of every run: a further one would
   * keep every checkpoint from being resumed.
   */
  readonly always: Always;
}

/** An option of the catalogue, which is a setting of trainers too. */
export interface OptionSetting<Trl extends TrlName, Trainer extends FamilyName, Always extends boolean>
  extends Setting<number, OtherNames<Trl, never, never>> {
  readonly range: Range;
  readonly trainers: readonly Trainer[];
  readonly always: Always;
}

/** Declares one. */
export function option<
  const Trl extends TrlName,
  const Trainer extends FamilyName = never,
  const Always extends boolean = false,
>({ trainers, always, ...parts }: OptionParts<Trl, Trainer, Always>): OptionSetting<Trl, Trainer, Always> {
  return { ...number<number, Trl>({ ...parts, group: 'loss' }), range: parts.range, trainers, always };
}

/** A value that a formula cannot take, or an option that it does not have. */
export class LossOptionError extends RangeError {
  override name = 'LossOptionError';
  constructor(readonly sentence: Sentence) {
    super(sentence.toString());
  }
}

/** As a setting has it. */
export type GivenOption = number | string | boolean | null | undefined;

/**
 * The options of a loss with its defaults filled in; null counts as left out. Throws an {@link LossOptionError} for a
 * name that the loss does not have, listing those it has, and for a value out of range.
 */
export function lossOptions(
  { name, options }: Pick<Loss, 'name' | 'options'>,
  given: Readonly<Record<string, GivenOption>> = {},
): LossOptions {
  const unknown = Object.keys(given).filter((key) => !isOwn(options, key));
  if (unknown.length > 0) {
    throw new LossOptionError(
      say`loss ${name} has no ${unknown.join(', ')}; its options are ${Object.keys(options).join(', ')}`,
    );
  }
  const found = (
    key: string,
    { default: usual, sameAs, words = {} }: LossOption,
  ): number | string | boolean => {
    const value = own(given, key) ?? (sameAs === undefined ? undefined : own(given, sameAs));
    if (value === undefined || value === null) return usual;
    return typeof value === 'number' ? value : (own(words, String(value)) ?? value);
  };
  const values = Object.entries(options).map(([key, declared]): [string, number] => {
    const { range = {}, words } = declared;
    const value = found(key, declared);
    if (typeof value === 'number' && inRange(value, range)) return [key, value];
    if (words) {
      const known = Object.keys(words).join(' or ');
      throw new LossOptionError(say`loss ${name}: ${setting(key)} is ${String(value)}, but must be ${known}`);
    }
    const reason = range.reason === undefined ? '' : `: ${range.reason}`;
    const within = `${rangeText(range) || 'a number'}${reason}`;
    throw new LossOptionError(say`loss ${name}: ${setting(key)} is ${String(value)}, but must be ${within}`);
  });
  return Object.fromEntries(values) as LossOptions;
}
