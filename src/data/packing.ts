/**
 * Sequences into one batch without padding: token ids with positions and spans that say who attends to whom. A pair's
 * prompt is there once and both completions attend to it. Plain arrays; nothing here knows a GPU or a model.
 */

/** Token ids of one preference pair. The prompt is not empty, nor is a completion. */
export interface TokenizedPair {
  prompt: number[];
  chosen: number[];
  rejected: number[];
}

/** Token ids of what a step learns from: a prompt and the completions that follow it, of a pair the chosen one first. */
export interface TokenizedExample {
  prompt: number[];
  completions: number[][];
  /** The label, where examples have one. */
  desirable?: boolean;
}

/** Token ids of one sequence. The prompt is not empty; an empty completion carries no loss. */
export interface TokenizedSequence {
  prompt: number[];
  completion: number[];
}

/**
 * N tokens, R loss rows, S sequences: the completions of each example in turn (of pair p: 2p the chosen, 2p + 1 the
 * rejected).
 *
 * The last token of a completion is a target only: nothing is predicted from it, so it is not among the N. The first
 * token of a completion is predicted from the prompt's last token, for both completions of a pair.
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
  /** (R), the token whose hidden state predicts the row's target. */
  rows: Uint32Array;
  /** (R), the token id to predict. */
  targets: Uint32Array;
  /** (S + 1): sequence s owns the loss rows [offsets[s], offsets[s + 1]). */
  sequenceOffsets: Uint32Array;
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

/** Examples with their prompts shared: prompt, then its completions, one after the other. */
export function packExamples(examples: readonly TokenizedExample[]): PackedBatch {
  const ids: number[] = [];
  const positions: number[] = [];
  const spans: number[] = [];
  const rows: number[] = [];
  const targets: number[] = [];
  const sequenceOffsets = [0];
  for (const { prompt, completions } of examples) {
    if (prompt.length === 0)
      throw new RangeError('a prompt needs at least one token: the first target has no predictor');
    const inputs = completions.map((completion) => completion.slice(0, -1));
    const prefixStart = ids.length;
    const prefixEnd = prefixStart + prompt.length;
    const exampleEnd = inputs.reduce((end, input) => end + input.length, prefixEnd);
    prompt.forEach((id, place) => {
      ids.push(id);
      positions.push(place);
      spans.push(prefixStart, prefixStart, prefixStart, exampleEnd);
    });
    completions.forEach((completion, index) => {
      const start = ids.length;
      const input = inputs[index];
      input.forEach((id, place) => {
        ids.push(id);
        positions.push(prompt.length + place);
        spans.push(prefixStart, prefixEnd, start, start + input.length);
      });
      completion.forEach((id, place) => {
        rows.push(place === 0 ? prefixEnd - 1 : start + place - 1);
        targets.push(id);
      });
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
  };
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
