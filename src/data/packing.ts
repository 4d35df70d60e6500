/**
 * Packs sequences into one batch without padding: token ids with positions and spans that define which tokens attend to
 * which. A prompt is stored once, and all of its completions attend to it. Uses plain arrays; does not depend on GPU or
 * model.
 */
import { own } from '../base/lookup.ts';
import type { TokenIds } from './token-ids.ts';

/** The unit that has one number in a column: an example, each of its completions, or each of their scored rows. */
export type ColumnScope = 'example' | 'sequence' | 'row';

export interface ColumnSpec {
  readonly per: ColumnScope;
  /** Value for examples without the column; if there is no default, every example needs it. */
  readonly default?: number;
}

/** The columns that a loss reads, by name. */
export type ColumnSpecs = Readonly<Record<string, ColumnSpec>>;

/** An example's columns by name, ordered by completions and their scored rows. */
export type Columns = Readonly<Record<string, ArrayLike<number>>>;

/** The part of an example that determines sizes. */
export interface ExampleShape extends Pick<TokenizedExample, 'targets' | 'columns'> {
  readonly completions: readonly { readonly length: number }[];
}

/** Token ids of one preference pair. Neither the prompt nor a completion is empty. */
export interface TokenizedPair {
  prompt: TokenIds;
  chosen: TokenIds;
  rejected: TokenIds;
}

/** The unit of training: a prompt, which is only empty if ends are scored, and its completions; a pair's chosen one first. */
export interface TokenizedExample {
  prompt: TokenIds;
  completions: TokenIds[];
  /** For each completion, the indices of the tokens that are predicted, ascending; default: all. */
  targets?: readonly (readonly number[])[];
  /** Additional numbers that the loss reads, by name. */
  columns?: Columns;
}

/** Token ids of one sequence. The prompt is not empty; an empty completion has no loss. */
export interface TokenizedSequence {
  prompt: TokenIds;
  completion: TokenIds;
}

/**
 * Which hidden states are scored. `targets`: those that predict a completion's tokens, for log-probabilities and values.
 * `ends`: the state of a completion's last token, for a reward. `{ states }`: for values, the states in which a completion
 * of at most that many tokens may still continue; for a completion that ended early, also the state after its end.
 */
export type ScoredRows = 'targets' | 'ends' | { readonly states: number };

export interface PackOptions {
  /** The columns to include; default: none. */
  reads?: ColumnSpecs;
  /** Default `targets`. */
  rows?: ScoredRows;
}

/**
 * N tokens, R scored rows, S sequences: the completions of each example in turn (pair p: 2p the chosen one, 2p + 1 the
 * rejected one). If targets are scored, the last token of a completion is only a target: nothing is predicted from it, so
 * it is not among the N. The first token of every completion is predicted from the prompt's last token.
 */
export interface PackedBatch {
  /** (N). */
  ids: Uint32Array;
  /** (N), position in its sequence; both completions of a pair start at the prompt's length. */
  positions: Uint32Array;
  /**
   * (N, 4): prefixStart, prefixEnd, start, queryEnd. Token i attends to the keys j in [prefixStart, prefixEnd) and in
   * [start, i]. Conversely, the queries i in [j, queryEnd) attend to key j.
   */
  spans: Uint32Array;
  /** (R), the token whose hidden state is scored. */
  rows: Uint32Array;
  /** (R), the token id that the row predicts; if ends are scored, the last token of the completion itself. */
  targets: Uint32Array;
  /** (S + 1): sequence s owns the rows [offsets[s], offsets[s + 1]). */
  sequenceOffsets: Uint32Array;
  /** The requested columns, example after example. */
  columns: Readonly<Record<string, Float32Array>>;
}

/** Pairs with a shared prompt: prompt, chosen, rejected, one after the other. */
export function packPairs(pairs: readonly TokenizedPair[]): PackedBatch {
  return packExamples(pairs.map(exampleOf));
}

/** Separate sequences, each completion with its own copy of the prompt. */
export function packSequences(sequences: readonly TokenizedSequence[]): PackedBatch {
  return packExamples(sequences.map(({ prompt, completion }) => ({ prompt, completions: [completion] })));
}

/** The two sequences of a pair, chosen first, for {@link packSequences}. */
export function sequencesOf({ prompt, chosen, rejected }: TokenizedPair): TokenizedSequence[] {
  return [chosen, rejected].map((completion) => ({ prompt, completion }));
}

/** A pair as an example with two completions. */
export function exampleOf({ prompt, chosen, rejected }: TokenizedPair): TokenizedExample {
  return { prompt, completions: [chosen, rejected] };
}

/**
 * Examples with shared prompts: the prompt, then its completions. Throws a RangeError for an empty prompt from which a
 * target would be predicted, an empty completion whose end is scored, and a missing column.
 */
export function packExamples(
  examples: readonly TokenizedExample[],
  { reads = {}, rows: scored = 'targets' }: PackOptions = {},
): PackedBatch {
  const ids: number[] = [];
  const positions: number[] = [];
  const spans: number[] = [];
  const rows: number[] = [];
  const targets: number[] = [];
  const sequenceOffsets = [0];
  const { inputOf, addRows, needsPrompt } = scoredKind(scored);
  for (const { prompt, completions, targets: learned } of examples) {
    if (learned && scored !== 'targets')
      throw new RangeError('an example with its own targets can only be scored at targets');
    if (prompt.length === 0 && needsPrompt)
      throw new RangeError('a prompt needs at least one token, which predicts the first target');
    const inputs = completions.map(inputOf);
    const prefixStart = ids.length;
    const prefixEnd = prefixStart + prompt.length;
    const exampleEnd = inputs.reduce((end, input) => end + input.length, prefixEnd);
    for (let place = 0; place < prompt.length; place++) {
      ids.push(prompt[place]);
      positions.push(place);
      spans.push(prefixStart, prefixStart, prefixStart, exampleEnd);
    }
    completions.forEach((completion, index) => {
      const start = ids.length;
      const input = inputs[index];
      for (let place = 0; place < input.length; place++) {
        ids.push(input[place]);
        positions.push(prompt.length + place);
        spans.push(prefixStart, prefixEnd, start, start + input.length);
      }
      addRows({ completion, start, prefixEnd, targets: learned?.[index] }, rows, targets);
      sequenceOffsets.push(rows.length);
    });
  }
  return {
    ids: Uint32Array.from(ids),
    positions: Uint32Array.from(positions),
    spans: Uint32Array.from(spans),
    rows: Uint32Array.from(rows),
    targets: Uint32Array.from(targets),
    sequenceOffsets: Uint32Array.from(sequenceOffsets),
    columns: joinColumns(examples, reads, scored),
  };
}

/** A completion at its position: its own tokens begin at `start`, its prompt ends before `prefixEnd`. */
interface PlacedCompletion {
  completion: TokenIds;
  start: number;
  prefixEnd: number;
  /** The indices to score; undefined: all. */
  targets?: readonly number[] | undefined;
}

interface ScoredKind {
  /** Number of scored rows of a completion of the given length. */
  rowsOf(length: number): number;
  /** The tokens of a completion that are computed. */
  inputOf(completion: TokenIds): TokenIds;
  addRows(placed: PlacedCompletion, rows: number[], targets: number[]): void;
  /** Whether a completion's first row is the prompt's last token. */
  needsPrompt: boolean;
}

const SCORED: Readonly<Record<ScoredRows & string, ScoredKind>> = {
  targets: {
    needsPrompt: true,
    rowsOf: (length) => length,
    inputOf: (completion) => completion.slice(0, -1),
    addRows({ completion, start, prefixEnd, targets: places = completion.keys() }, rows, targets) {
      for (const place of places) {
        rows.push(place === 0 ? prefixEnd - 1 : start + place - 1);
        targets.push(completion[place]);
      }
    },
  },
  ends: {
    needsPrompt: false,
    rowsOf: () => 1,
    inputOf: (completion) => completion,
    addRows({ completion, start }, rows, targets) {
      const last = completion.at(-1);
      if (last === undefined) throw new RangeError('an empty completion has no end to score');
      rows.push(start + completion.length - 1);
      targets.push(last);
    },
  },
};

function scoredKind(rows: ScoredRows): ScoredKind {
  return typeof rows === 'string' ? SCORED[rows] : openStates(rows.states);
}

/** Scores the states in which a completion of at most `most` tokens may still continue. */
function openStates(most: number): ScoredKind {
  const rowsOf = (length: number) => Math.min(length + 1, Math.max(most, length));
  return {
    needsPrompt: true,
    rowsOf,
    inputOf: (completion) => completion.slice(0, rowsOf(completion.length) - 1),
    addRows({ completion, start, prefixEnd }, rows, targets) {
      for (let place = 0; place < rowsOf(completion.length); place++) {
        rows.push(place === 0 ? prefixEnd - 1 : start + place - 1);
        targets.push(completion[place] ?? completion.at(-1)!);
      }
    },
  };
}

/** Number of scored rows of a completion with `length` targets. */
function scoredLength(length: number, rows: ScoredRows): number {
  return scoredKind(rows).rowsOf(length);
}

/** Number of values that an example has in a column of each scope. */
const LENGTHS: Readonly<Record<ColumnScope, (example: ExampleShape, rows: ScoredRows) => number>> = {
  example: () => 1,
  sequence: ({ completions }) => completions.length,
  row: (example, rows) => scoredLengths(example, rows).reduce((sum, length) => sum + length, 0),
};

/** Number of scored rows of each completion. */
export function scoredLengths({ completions, targets }: ExampleShape, rows: ScoredRows): number[] {
  return completions.map(({ length }, i) => scoredLength(targets?.[i]?.length ?? length, rows));
}

/** Number of values in a column of an example. */
export function columnLength(
  example: ExampleShape,
  { per }: ColumnSpec,
  rows: ScoredRows = 'targets',
): number {
  return LENGTHS[per](example, rows);
}

/**
 * The requested columns of some examples, concatenated. Throws a RangeError with the column and the example if one is
 * missing or has the wrong length.
 */
function joinColumns(
  examples: readonly ExampleShape[],
  specs: ColumnSpecs,
  rows: ScoredRows,
): Record<string, Float32Array> {
  const joined = Object.entries(specs).map(([name, spec]): [string, Float32Array] => {
    const values = examples.flatMap((example, index) => [
      ...columnOf(example, name, spec, columnLength(example, spec, rows), index),
    ]);
    return [name, Float32Array.from(values)];
  });
  return Object.fromEntries(joined);
}

function columnOf(
  example: ExampleShape,
  name: string,
  { per, default: otherwise }: ColumnSpec,
  length: number,
  index: number,
): Iterable<number> {
  const column = own(example.columns ?? {}, name);
  if (!column) {
    if (otherwise !== undefined) return Array.from({ length }, () => otherwise);
    throw new RangeError(`example ${index + 1} has no column ${name}; give one number for each ${per}`);
  }
  if (column.length === length) return Array.from(column);
  throw new RangeError(
    `example ${index + 1}: column ${name} has ${column.length} numbers; it needs ${length}, one for each ${per}`,
  );
}

/**
 * The positions of each value in `indices`, as compressed rows: the positions of value v are entries[offsets[v]] up to
 * entries[offsets[v + 1]], ascending. A scatter-add that uses it needs no atomics and has a fixed order.
 */
export function invertIndex(
  indices: Uint32Array,
  count: number,
): { offsets: Uint32Array; entries: Uint32Array } {
  const offsets = new Uint32Array(count + 1);
  for (const value of indices) {
    if (value >= count) throw new RangeError(`index ${value} must be below ${count}`);
    offsets[value + 1]++;
  }
  for (let value = 0; value < count; value++) offsets[value + 1] += offsets[value];
  const next = offsets.slice();
  const entries = new Uint32Array(indices.length);
  indices.forEach((value, place) => {
    entries[next[value]++] = place;
  });
  return { offsets, entries };
}

/** Splits an order into batches of `size`; the last one has the remaining items. */
export function batches(order: Uint32Array, size: number): Uint32Array[] {
  if (!(Number.isSafeInteger(size) && size > 0))
    throw new RangeError(`the batch size must be at least 1, got ${size}`);
  return Array.from({ length: Math.ceil(order.length / size) }, (_, i) =>
    order.subarray(i * size, (i + 1) * size),
  );
}
