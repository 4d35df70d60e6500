/**
 * A case for a loss on tokens as people write it, and the columns for the kernels. The loss declares
 * which columns it needs. Checks everything and names the invalid token; computes nothing.
 */
import { isOwn, own } from '../../base/lookup.ts';
import { didYouMean } from '../../base/suggest.ts';
import type { ColumnScope } from '../../data/packing.ts';
import { InputError, listed, quote } from '../../io/errors.ts';
import { LOSSES } from '../../losses/catalogue.ts';
import type { TrainingLoss } from '../../losses/family.ts';
import type { LossCase } from './loss-case.ts';

/** A token sampled from the policy. */
export interface TokenNumbers {
  /** Its log π under the policy. */
  logp: number;
  /** Under the sampling policy. */
  oldLogp?: number;
  /** Under the reference, if the loss has one. */
  referenceLogp?: number;
  /** The same for all tokens of a completion, if the loss reads one per completion. */
  advantage?: number;
  /** Which completion it belongs to, a number or a name; default: all tokens belong to one. */
  sequence?: number | string;
}

export interface TokenLossCase extends Pick<LossCase, 'loss' | 'objective' | 'options'> {
  tokens: readonly TokenNumbers[];
}

/** The input of the kernels, with the tokens of a completion adjacent. */
export interface TokenColumns {
  logprobs: number[];
  reference: number[];
  /** Number of tokens of each completion. */
  lengths: number[];
  columns: Record<string, number[]>;
  /** For each row the index of its token in the case. */
  places: number[];
}

/** Columns of losses that have another field name in a case. */
const FIELDS: Readonly<Record<string, string>> = { oldLogprobs: 'oldLogp' };

const fieldOf = (column: string) => own(FIELDS, column) ?? column;

type Fields = Readonly<Record<string, unknown>>;

/** The numbers of a case, in kernel order. Throws {@link InputError} that names the token and the field. */
export function columnsOfTokens(
  { tokens }: Pick<TokenLossCase, 'tokens'>,
  loss: TrainingLoss,
  where: string,
  notices: string[],
): TokenColumns {
  const rows = tokens.map((token: unknown, i): Fields => {
    const at = `${where}, tokens ${i + 1}`;
    if (typeof token !== 'object' || token === null)
      throw new InputError(at, `is ${quote(token)}`, 'Give an object with "logp"');
    return token as Fields;
  });
  const at = (row: number) => `${where}, tokens ${row + 1}`;
  for (const [i, row] of rows.entries()) checkFields(row, at(i));
  const groups = new Map<unknown, number[]>();
  rows.forEach((row, i) => {
    const sequence = own(row, 'sequence') ?? 0;
    if (typeof sequence !== 'string' && !Number.isFinite(sequence))
      throw new InputError(at(i), `sequence is ${quote(sequence)}`, 'Give a number or a name');
    groups.set(sequence, [...(groups.get(sequence) ?? []), i]);
  });
  const places = [...groups.values()].flat();
  const number = (row: number, field: string, why: string, otherwise?: number) => {
    const value = own(rows[row], field);
    if (value === undefined && otherwise !== undefined) return otherwise;
    if (value === undefined) throw new InputError(at(row), `has no ${field}`, `Provide it: ${why}`);
    if (typeof value === 'number' && Number.isFinite(Math.fround(value))) return value;
    throw new InputError(at(row), `${field} is ${quote(value)}`, 'Give a number');
  };
  for (const [i, row] of rows.entries()) {
    const old = own(row, 'oldLogp');
    // Kernels treat a value above 0 as the policy's own.
    if (typeof old === 'number' && old > 0)
      throw new InputError(
        at(i),
        `oldLogp is ${old}`,
        'Give a log-probability of at most 0, or leave it out for a ratio of 1',
      );
  }
  const names = loss.terms.map(({ loss }) => loss.name).join(' + ');
  const columns = Object.entries(loss.reads).map(([name, { per, default: usual }]): [string, number[]] => {
    const field = fieldOf(name);
    const read = (row: number) => number(row, field, `${names} reads it`, usual);
    const same = (all: readonly number[]) => {
      const [first = 0] = all;
      const other = all.find((row) => read(row) !== read(first));
      if (other === undefined) return [read(first)];
      const what = `${field} is ${read(other)}, but ${read(first)} at tokens ${first + 1}`;
      throw new InputError(at(other), what, `Use the same number: ${names} reads one for ${SCOPES[per]}`);
    };
    return [name, ROWS[per]([...groups.values()], read, same)];
  });
  if (!loss.usesReference && rows.some((row) => isOwn(row, 'referenceLogp')))
    notices.push(`referenceLogp is not used by ${names}`);
  return {
    logprobs: places.map((row) => number(row, 'logp', 'the log-probability under the policy')),
    reference: places.map((row) =>
      loss.usesReference ? number(row, 'referenceLogp', `${names} compares with the reference`) : 0,
    ),
    lengths: [...groups.values()].map(({ length }) => length),
    columns: Object.fromEntries(columns),
    places,
  };
}

const SCOPES: Readonly<Record<ColumnScope, string>> = {
  example: 'all completions',
  sequence: 'a completion',
  row: 'a token',
};

type Same = (rows: readonly number[]) => number[];

/** The numbers of a column, by its scope. */
const ROWS: Readonly<
  Record<
    ColumnScope,
    (groups: readonly (readonly number[])[], read: (row: number) => number, same: Same) => number[]
  >
> = {
  example: (groups, _, same) => same(groups.flat()),
  sequence: (groups, _, same) => groups.flatMap(same),
  row: (groups, read) => groups.flat().map(read),
};

/** The allowed fields of a token: those that any loss on tokens reads. */
function checkFields(token: Fields, where: string): void {
  const columns = Object.values(LOSSES).flatMap(({ unit, reads = {} }) =>
    unit === 'token' ? Object.keys(reads).map(fieldOf) : [],
  );
  const known = [...new Set(['logp', 'referenceLogp', 'sequence', ...columns])];
  const unknown = Object.keys(token).find((field) => !known.includes(field));
  if (unknown === undefined) return;
  const wayOut = `${didYouMean(unknown, known)}Supported: ${listed(known)}`;
  throw new InputError(where, `${quote(unknown)} is not a field of a token`, wayOut);
}
