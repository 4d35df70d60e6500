/**
 * Options of formulas: their declarations, and the values passed to a formula. The declarations themselves are in the
 * catalogue, or in a user-defined descriptor.
 */
import { isOwn, own } from '../base/lookup.ts';
import { inRange, type Range, rangeText } from '../base/range.ts';
import { type Sentence, say, setting } from '../base/sentence.ts';
import { number, type OtherNames, type Parts, type Setting, type TrlName } from '../base/setting.ts';
import type { FamilyName } from './families.ts';
import type { Loss, LossOptions } from './loss.ts';

/** An option of a formula. */
export interface LossOption {
  readonly default: number;
  /** The allowed values; by default every number. */
  readonly range?: Range;
  /** Another option of the formula, which provides the default value. */
  readonly sameAs?: string | undefined;
  /** Names and booleans that stand for numbers: `{ token: 0, sequence: 1 }`. */
  readonly words?: Readonly<Record<string, number>>;
}

interface OptionParts<Trl extends TrlName, Trainer extends FamilyName, Always extends boolean>
  extends Omit<Parts<number, Trl>, 'group' | 'flag' | 'aliases'> {
  readonly range: Range;
  /** The trainers that have it as a setting. */
  readonly trainers: readonly Trainer[];
  /**
   * True if it is a setting of every run of these trainers and is stored in run.json and checkpoints; false if it is a setting only of
   * runs whose losses read it. Only options of the first run.json may be true: a new one would
   * make existing checkpoints impossible to resume.
   */
  readonly always: Always;
}

/** An option of the catalogue that is also a setting of trainers. */
export interface OptionSetting<Trl extends TrlName, Trainer extends FamilyName, Always extends boolean>
  extends Setting<number, OtherNames<Trl, never, never>> {
  readonly range: Range;
  readonly trainers: readonly Trainer[];
  readonly always: Always;
}

/** Declares an option. */
export function option<
  const Trl extends TrlName,
  const Trainer extends FamilyName = never,
  const Always extends boolean = false,
>({ trainers, always, ...parts }: OptionParts<Trl, Trainer, Always>): OptionSetting<Trl, Trainer, Always> {
  return { ...number<number, Trl>({ ...parts, group: 'loss' }), range: parts.range, trainers, always };
}

/** An invalid value, or an option that the formula does not have. */
export class LossOptionError extends RangeError {
  override name = 'LossOptionError';
  constructor(readonly sentence: Sentence) {
    super(sentence.toString());
  }
}

/** The option as a setting. */
export type GivenOption = number | string | boolean | null | undefined;

/**
 * The options of a loss with its defaults filled in; null counts as missing. Throws an {@link LossOptionError} for an
 * unknown name, with a list of the known ones, and for a value out of range.
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
