/**
 * A setting is declared once: type, range, default, help, TRL's name. Everything else is derived from the declaration:
 * configuration types, defaults, validation, flags and their help, the export to TRL, the table in the documentation. A
 * declaration that lacks a part does not compile. This file contains no settings.
 */
import { inFloat32, inRange, type Range, rangeText, WHOLE_MOST } from './range.ts';

/** How values of a kind are written on a command line and in a file; front ends have one row per kind. */
export type KindName = 'number' | 'whole' | 'boolean' | 'choice' | 'names' | 'numbers' | 'losses';

/** Headings of the settings in help and documentation, in order. */
export const GROUPS = {
  loss: 'Loss',
  rollouts: 'Rollouts',
  training: 'Training',
  lora: 'LoRA',
  run: 'Run',
} as const;

/** The settings of a run, by name. */
export type RunSettings = Readonly<Record<string, unknown>>;

/** How to express a setting for TRL if TRL's differs. */
export interface Translation<Name extends string | null = string | null> {
  /** TRL's name, if its values mean the same; null if no name of TRL does. */
  readonly name: Name;
  /** The arguments of TRL's configuration class. Throws if TRL cannot do the same. */
  write(settings: RunSettings): Readonly<Record<string, unknown>>;
}

/** A {@link Translation}. */
export function translated<const Name extends string | null>(
  name: Name,
  write: Translation['write'],
): Translation<Name> {
  return { name, write };
}

/** TRL's name for a setting, a translation, or null if TRL has no equivalent. */
export type TrlName = string | Translation | null;

/** The part that every declaration has. */
export interface Parts<
  Default,
  Trl extends TrlName = TrlName,
  Alias extends string = string,
  Flag extends string = string,
> {
  /** Null if the setting may be left open. */
  readonly default: Default;
  readonly group: keyof typeof GROUPS;
  /** One line in lower case, without a full stop. */
  readonly help: string;
  readonly trl: Trl;
  /** Whether the value may change when a run resumes. */
  readonly mayChange?: boolean;
  /** Other accepted names. */
  readonly aliases?: readonly Alias[];
  /** The flag without its dashes, if that is not the name with hyphens. */
  readonly flag?: Flag;
}

/** `Names` are the accepted names besides the setting's own. */
export interface Setting<Value = unknown, Names extends string = string> extends Parts<Value> {
  readonly kind: KindName;
  /** A short description of the values, for tables: `whole number`. */
  readonly type: string;
  /** For numbers. */
  readonly range?: Range;
  /** For one of several names. */
  readonly choices?: readonly string[];
  readonly fits: (value: unknown) => boolean;
  /** What to do about an invalid value: `Give a number above 0`. */
  readonly wayOut: string;
  /** For switches that are on by default: the effect of `--no-…`. */
  readonly off?: string;
  readonly names: readonly Names[];
}

/** A table of settings by name. */
export type SettingTable = Readonly<Record<string, Setting>>;

export type ValueOf<Declared> = Declared extends Setting<infer Value> ? Value : never;

/** The configuration type of a table. Its fields keep the comments of the table's entries. */
export type Values<Table> = { [Name in keyof Table]: ValueOf<Table[Name]> };

/** The same values under their other accepted names. */
export type Spellings<Table> = {
  [Name in keyof Table as NamesOf<Table[Name]>]?: ValueOf<Table[Name]>;
};
type NamesOf<Declared> = Declared extends Setting<infer _, infer Names> ? Names : never;

type CamelCase<Text extends string> = Text extends `${infer First}-${infer Rest}`
  ? `${First}${Capitalize<CamelCase<Rest>>}`
  : Text;

/** The accepted names besides the setting's own. */
export type OtherNames<Trl extends TrlName, Alias extends string, Flag extends string> =
  | (Trl extends string ? Trl : Trl extends Translation<infer Name extends string> ? Name : never)
  | Alias
  | CamelCase<Flag>;

/** Null is a value if it is the default. */
type OrNull<Value, Default> = Default extends null ? Value | null : Value;

type Rule = Pick<Setting, 'kind' | 'type' | 'range' | 'choices' | 'fits' | 'wayOut' | 'off'>;

/** A setting of another kind, with the given rule; the functions below declare the usual kinds. */
export function declared<
  Value,
  Trl extends TrlName,
  Alias extends string = never,
  Flag extends string = never,
>(rule: Rule, parts: Parts<Value, Trl, Alias, Flag>): Setting<Value, OtherNames<Trl, Alias, Flag>> {
  const { trl, aliases = [], flag } = parts;
  const trlName = typeof trl === 'string' ? trl : trl?.name;
  const names = [trlName, ...aliases, flag && camelCase(flag)].filter((name) => typeof name === 'string');
  const open = parts.default === null;
  return {
    ...parts,
    ...rule,
    fits: (value) => (open && value === null) || rule.fits(value),
    names: [...new Set(names)] as OtherNames<Trl, Alias, Flag>[],
  };
}

/** Replaces a default's literal type by the kind's type: a setting that is 1 may become 2. */
function widened<
  Value,
  Default extends Value | null,
  Trl extends TrlName,
  Alias extends string,
  Flag extends string,
>(parts: Parts<Default, Trl, Alias, Flag>) {
  return parts as Parts<OrNull<Value, Default>, Trl, Alias, Flag>;
}

interface NumberParts<Default, Trl extends TrlName, Alias extends string, Flag extends string>
  extends Parts<Default, Trl, Alias, Flag> {
  readonly range: Range;
}

/** A number within a range. */
export function number<
  const Default extends number | null,
  const Trl extends TrlName,
  const Alias extends string = never,
  const Flag extends string = never,
>(parts: NumberParts<Default, Trl, Alias, Flag>) {
  const { range } = parts;
  const fits = (value: unknown) => typeof value === 'number' && inRange(value, range) && inFloat32(value);
  const wayOut = `Give a number${within(range)}`;
  const rule: Rule = { kind: 'number', type: 'number', range, fits, wayOut };
  return declared(rule, widened<number, Default, Trl, Alias, Flag>(parts));
}

/** A whole number within a range. */
export function whole<
  const Trl extends TrlName,
  const Alias extends string = never,
  const Flag extends string = never,
>(parts: NumberParts<number, Trl, Alias, Flag>) {
  const { range } = parts;
  const { upTo = WHOLE_MOST } = range;
  const fits = (value: unknown) =>
    Number.isSafeInteger(value) && inRange(value as number, { ...range, upTo });
  const wayOut = `Give a whole number${within(range)}`;
  return declared({ kind: 'whole', type: 'whole number', range, fits, wayOut }, parts);
}

/** Further limits for a number that is within its range; continues {@link Setting.wayOut}. */
export function beyond({ kind, range }: Setting, value: unknown): string {
  if (typeof value !== 'number' || !range || !inRange(value, range)) return '';
  if (kind === 'whole') return Number.isInteger(value) ? `, at most ${WHOLE_MOST}` : '';
  return ', of a size from 1.2e-38 to 3.4e38, which float32 has';
}

function within(range: Range): string {
  const text = rangeText(range);
  return `${text && ` ${text}`}${range.reason === undefined ? '' : `: ${range.reason}`}`;
}

/** True or false. One that is on by default describes the effect of `--no-…`. */
export function boolean<
  const Default extends boolean | null,
  const Trl extends TrlName,
  const Alias extends string = never,
  const Flag extends string = never,
>(parts: Parts<Default, Trl, Alias, Flag> & (Default extends true ? { readonly off: string } : unknown)) {
  const fits = (value: unknown) => typeof value === 'boolean';
  const { off } = parts as { off?: string };
  const rule: Rule = { kind: 'boolean', type: 'true or false', fits, wayOut: 'Give true or false', off };
  return declared(rule, widened<boolean, Default, Trl, Alias, Flag>(parts));
}

/** One of several names. */
export function choice<
  const Value extends string,
  const Trl extends TrlName,
  const Alias extends string = never,
  const Flag extends string = never,
>(choices: readonly Value[], parts: Parts<NoInfer<Value>, Trl, Alias, Flag>) {
  const fits = (value: unknown) => (choices as readonly unknown[]).includes(value);
  const wayOut = `Supported: ${choices.join(', ')}`;
  return declared({ kind: 'choice', type: 'one of several names', choices, fits, wayOut }, parts);
}

/** A list of names. */
export function names<
  const Trl extends TrlName,
  const Alias extends string = never,
  const Flag extends string = never,
>(parts: Parts<string[], Trl, Alias, Flag>) {
  const fits = (value: unknown) => Array.isArray(value) && value.every((name) => typeof name === 'string');
  return declared({ kind: 'names', type: 'names', fits, wayOut: 'Give a list of names' }, parts);
}

/** A list of numbers, or null. */
export function numbers<
  const Trl extends TrlName,
  const Alias extends string = never,
  const Flag extends string = never,
>(parts: Parts<readonly number[] | null, Trl, Alias, Flag>) {
  const fits = (value: unknown) =>
    Array.isArray(value) && value.every((each) => Number.isFinite(each) && inFloat32(each));
  return declared({ kind: 'numbers', type: 'numbers', fits, wayOut: 'Give a list of numbers' }, parts);
}

/** `batchSize` of `batch-size`. */
export function camelCase(text: string): string {
  return text.replace(/[-_](\w)/g, (_, letter: string) => letter.toUpperCase());
}

/** `batch-size` of `batchSize`; `batch_size` with another separator. */
export function separated(name: string, separator: '-' | '_'): string {
  return name.replace(/[A-Z]/g, (letter) => `${separator}${letter.toLowerCase()}`);
}
