/**
 * Sequences into one batch without padding: token ids with positions and spans that say who attends to whom. A prompt is
 * there once, and all of its completions attend to it. Plain arrays; nothing here knows a GPU or a model.
 */
import { own } from '../base/lookup.ts';
import type { TokenIds } from './token-ids.ts';

/** What a column has a number for: an example, each of its completions, or each of their scored rows. */
export type ColumnScope = 'example' | 'sequence' | 'row';

export interface ColumnSpec {
  readonly per: ColumnScope;
  /** Stands where an example does not have the column; without one every example needs it. */
  readonly default?: number;
}

/** The columns that a loss reads, by name. */
export type ColumnSpecs = Readonly<Record<string, ColumnSpec>>;

/** An example's columns by name, in the order of its completions and their scored rows. */
export type Columns = Readonly<Record<string, ArrayLike<number>>>;

/** What an example looks like to those who only count. */
export interface ExampleShape extends Pick<TokenizedExample, 'targets' | 'columns'> {
  readonly completions: readonly { readonly length: number }[];
}

/** Token ids of one preference pair. The prompt is not empty, nor is a completion. */
export interface TokenizedPair {
  prompt: TokenIds;
  chosen: TokenIds;
  rejected: TokenIds;
}

/** What a step learns from: a prompt, empty only where ends are scored, and its completions, of a pair the chosen one first. */
export interface TokenizedExample {
  prompt: TokenIds;
  completions: TokenIds[];
  /** Of each completion the places of the tokens that are predicted, in their order; all where it is left out. */
  targets?: readonly (readonly number[])[];
  /** Numbers that the loss reads beside the tokens, by name. */
  columns?: Columns;
}

/** Token ids of one sequence. The prompt is not empty; an empty completion carries no loss. */
export interface TokenizedSequence {
  prompt: TokenIds;
  completion: TokenIds;
}

/**
 * Which hidden states are scored. `targets`: those that predict a completion's tokens, for log-probabilities and values.
 * `ends`: the one of a completion's last token, for a reward. `{ states }`: for values, those in which a completion of at most
 * so many tokens may still go on: of one that ended early also the one behind its end.
 */
export type ScoredRows = 'targets' | 'ends' | { readonly states: number };

export interface PackOptions {
  /** The columns to take along; none where it is left out. */
  reads?: ColumnSpecs;
  /** Default `targets`. */
  rows?: ScoredRows;
}

/**
 * N tokens, R scored rows, S sequences: the completions of each example in turn (of pair p: 2p the chosen, 2p + 1 the
 * rejected).
 *
 * Where targets are scored, the last token of a completion is a target only: nothing is predicted from it, so it is not
 * among the N. The first token of a completion is predicted from the prompt's last token, for all completions alike.
 */
export interface PackedBatch {
  /** (N). */
  ids: Uint32Array;
  /** (N), place in its sequence; both completions of a pair start at the prompt's length. */
  positions: Uint32Array;
  /**
   * (N, 4): prefixStart, prefixEnd, start, queryEnd. Token i attends to the keys j in [prefixStart, prefixEnd) and in
   * [start, i]; seen the other way round, key j is attended to by the queries i in [j, queryEnd).
   */
  spans: Uint32Array;
  /** (R), the token whose hidden state is scored. */
  rows: Uint32Array;
  /** (R), the token id that the row predicts; where ends are scored, the last one of the completion itself. */
  targets: Uint32Array;
  /** (S + 1): sequence s owns the rows [offsets[s], offsets[s + 1]). */
  sequenceOffsets: Uint32Array;
  /** The wanted columns, example after example. */
  columns: Readonly<Record<string, Float32Array>>;
}

/** Pairs with their prompt shared: prompt, chosen, rejected, one after the other. */
export function packPairs(pairs: readonly TokenizedPair[]): PackedBatch {
  return packExamples(pairs.map(exampleOf));
}

/** Sequences each by itself, a prompt for every completion. */
export function packSequences(sequences: readonly TokenizedSequence[]): PackedBatch {
  return packExamples(sequences.map(({ prompt, completion }) => ({ prompt, completions: [completion] })));
}

/** The two sequences of a pair, chosen first, for {@link packSequences}. */
export function sequencesOf({ prompt, chosen, rejected }: TokenizedPair): TokenizedSequence[] {
  return [chosen, rejected].map((completion) => ({ prompt, completion }));
}

/** A pair as an example. */
export function exampleOf({ prompt, chosen, rejected }: TokenizedPair): TokenizedExample {
  return { prompt, completions: [chosen, rejected] };
}

/**
 * Examples with their prompts shared: prompt, then its completions, one after the other. Throws a RangeError for an empty
 * prompt from which a target would be predicted, for an empty completion whose end is to be scored, and for a column that an
 * example lacks.
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
    if (learned && scored !== 'targets') throw new RangeError('targets are named, and others are scored');
    if (prompt.length === 0 && needsPrompt)
      throw new RangeError('a prompt needs at least one token: the first target has no predictor');
    const inputs = completions.map(inputOf);
    const prefixStart = ids.length;
    const prefixEnd = prefixStart + prompt.length;
    const exampleEnd = inputs.reduce((end, input) => end + input.length, prefixEnd);
    for (let place = 0; place < prompt.length; place++) {
      ids.push(prompt[place] as number);
      positions.push(place);
      spans.push(prefixStart, prefixStart, prefixStart, exampleEnd);
    }
    completions.forEach((completion, index) => {
      const start = ids.length;
      const input = inputs[index] as TokenIds;
      for (let place = 0; place < input.length; place++) {
        ids.push(input[place] as number);
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

/** A completion in its place: its own tokens begin at `start`, its prompt ends before `prefixEnd`. */
interface PlacedCompletion {
  completion: TokenIds;
  start: number;
  prefixEnd: number;
  /** The places to score; all where it is undefined. */
  targets?: readonly number[] | undefined;
}

interface ScoredKind {
  /** Scored rows of a completion of so many tokens. */
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
        targets.push(completion[place] as number);
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

/** The states in which a completion of at most so many tokens may still go on. */
function openStates(most: number): ScoredKind {
  const rowsOf = (length: number) => Math.min(length + 1, Math.max(most, length));
  return {
    needsPrompt: true,
    rowsOf,
    inputOf: (completion) => completion.slice(0, rowsOf(completion.length) - 1),
    addRows({ completion, start, prefixEnd }, rows, targets) {
      for (let place = 0; place < rowsOf(completion.length); place++) {
        rows.push(place === 0 ? prefixEnd - 1 : start + place - 1);
        targets.push(completion[place] ?? (completion.at(-1) as number));
      }
    },
  };
}

/** Scored rows of a completion of so many targets. */
function scoredLength(length: number, rows: ScoredRows): number {
  return scoredKind(rows).rowsOf(length);
}

/** Numbers that an example has in a column. */
const LENGTHS: Readonly<Record<ColumnScope, (example: ExampleShape, rows: ScoredRows) => number>> = {
  example: () => 1,
  sequence: ({ completions }) => completions.length,
  row: (example, rows) => scoredLengths(example, rows).reduce((sum, length) => sum + length, 0),
};

/** Scored rows of each of its completions. */
export function scoredLengths({ completions, targets }: ExampleShape, rows: ScoredRows): number[] {
  return completions.map(({ length }, i) => scoredLength(targets?.[i]?.length ?? length, rows));
}

/** How many numbers a column of an example has. */
export function columnLength(
  example: ExampleShape,
  { per }: ColumnSpec,
  rows: ScoredRows = 'targets',
): number {
  return LENGTHS[per](example, rows);
}

/**
 * The wanted columns of some examples, each one after the other. Throws a RangeError that names the column and the example
 * where one is missing or has another length.
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
 * Where each value of `indices` stands, as compressed rows: the places of value v are entries[offsets[v]] up to
 * entries[offsets[v + 1]], ascending. A scatter-add that walks it needs no atomics and has one order.
 */
export function invertIndex(
  indices: Uint32Array,
  count: number,
): { offsets: Uint32Array; entries: Uint32Array } {
  const offsets = new Uint32Array(count + 1);
  for (const value of indices) {
    if (value >= count) throw new RangeError(`index ${value} is not below ${count}`);
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

/** An order cut into batches of `size`, the last one as long as what is left. */
export function batches(order: Uint32Array, size: number): Uint32Array[] {
  if (!(Number.isSafeInteger(size) && size > 0))
    throw new RangeError(`a batch size of ${size} is not a number from 1`);
  return Array.from({ length: Math.ceil(order.length / size) }, (_, i) =>
    order.subarray(i * size, (i + 1) * size),
  );
}
