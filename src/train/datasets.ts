/**
 * Data for a trainer, either rows of text or token ids: tokenized with the model's tokenizer and checked
 * against the model's limits. Invalid rows are rejected by number before anything reaches the device.
 */

import { counted } from '../base/counted.ts';
import { say, setting } from '../base/sentence.ts';
import type { Sliced } from '../base/slices.ts';
import type { LabelledRow } from '../data/labelled-dataset.ts';
import {
  type Columns,
  exampleOf,
  type TokenizedExample,
  type TokenizedPair,
  type TokenizedSequence,
} from '../data/packing.ts';
import type { PreferenceRow } from '../data/preference-dataset.ts';
import { shuffle } from '../data/random.ts';
import type { TextRow } from '../data/text-dataset.ts';
import { type TokenIds, TokenStore } from '../data/token-ids.ts';
import { completionTokens, equalNotice, isUndecided, pairRow } from '../data/tokenize-completions.ts';
import { textTokens } from '../data/tokenize-texts.ts';
import { requireTokenIds, type Tokenizer } from '../data/tokenizer.ts';
import { InputError } from '../io/errors.ts';
import type { CausalLM } from '../model/causal-lm.ts';

/** Rows as read, or token ids. */
export type PairDataset = readonly PreferenceRow[] | readonly TokenizedPair[];
export type LabelledDataset = readonly LabelledRow[] | readonly LabelledSequence[];
export type TextDataset = readonly TextRow[] | readonly TokenizedSequence[];

/** Token ids of a labeled completion. */
export interface LabelledSequence extends TokenizedSequence {
  desirable: boolean;
}

/** The examples, and notices about them. */
export interface Prepared {
  examples: readonly TokenizedExample[];
  notices: readonly string[];
}

/** Both data sets of a trainer. */
export interface PreparedDatasets {
  train: readonly TokenizedExample[];
  evaluation: readonly TokenizedExample[];
  notices: readonly string[];
}

/** The context for which the data is prepared. */
export interface DataContext {
  model: CausalLM;
  tokenizer: Tokenizer | undefined;
  /** Maximum tokens per sequence. */
  maxLength: number;
  /** Where token ids are stored. */
  keep: (ids: TokenIds) => TokenIds;
}

/** The data as passed to a trainer. */
interface BothDatasets<Dataset> {
  model: CausalLM;
  trainDataset: Dataset;
  evalDataset?: Dataset;
  processingClass?: Tokenizer;
}

/** Training and evaluation data of a trainer, prepared the same way. */
export function* prepareBoth<Dataset extends readonly unknown[]>(
  { model, trainDataset, evalDataset, processingClass: tokenizer }: BothDatasets<Dataset>,
  maxLength: number,
  prepare: (dataset: Dataset, context: DataContext) => Sliced<Prepared>,
): Sliced<PreparedDatasets> {
  const context = { model, tokenizer, maxLength, keep: new TokenStore().keep };
  const rows = { train: trainDataset.length, evaluation: evalDataset?.length ?? 0 };
  const total = rows.train + rows.evaluation;
  const train = yield* within(prepare(trainDataset, context), 0, total);
  refuseUndecided(train.examples, trainDataset);
  if (!evalDataset?.length) return { train: train.examples, evaluation: [], notices: train.notices };
  const evaluation = yield* within(prepare(evalDataset, context), rows.train, total);
  return {
    train: train.examples,
    evaluation: evaluation.examples,
    notices: [...train.notices, ...evaluation.notices],
  };
}

/** Work that is part of a larger task: `before` items are done when it begins. */
function* within<Result>(work: Sliced<Result>, before: number, total: number): Sliced<Result> {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
    yield { done: before + value.done, total };
  }
}

/** Throws {@link InputError} if all examples are pairs of identical completions. */
function refuseUndecided(examples: readonly TokenizedExample[], rows: readonly unknown[]): void {
  if (examples.length === 0 || !examples.every(({ completions }) => isUndecided(completions))) return;
  const { where = 'row 1' } = rows[0] as { where?: string };
  const others =
    rows.length === 1 ? '' : `, in this row and in all others of ${counted(rows.length, 'pair')}`;
  const what = `chosen and rejected have the same tokens${others}`;
  const wayOut = say`Check the columns; if completions differ only beyond ${setting('maxLength')}, raise it`;
  throw new InputError(where, what, wayOut);
}

/** Each a prompt with its chosen and its rejected completion. Throws {@link InputError}. */
export function* preparePairs(dataset: PairDataset, context: DataContext): Sliced<Prepared> {
  if (isTokenized(dataset)) {
    const { examples } = ofIds((dataset as readonly TokenizedPair[]).map(exampleOf), context);
    const equal = examples.flatMap(({ completions }, i) => (isUndecided(completions) ? [i] : []));
    return { examples, notices: [equalNotice(equal, dataset)].filter((line) => line !== undefined) };
  }
  const { tokenizer, ...options } = textContext(context);
  return yield* completionTokens((dataset as readonly PreferenceRow[]).map(pairRow), tokenizer, options);
}

/** Each a prompt with its completion, and the label. Throws {@link InputError}. */
export function* prepareLabelled(dataset: LabelledDataset, context: DataContext): Sliced<Prepared> {
  if (isTokenized(dataset)) {
    const sequences = dataset as readonly LabelledSequence[];
    return ofIds(
      sequences.map(({ prompt, completion, desirable }) => ({
        prompt,
        completions: [completion],
        columns: labelled(desirable),
      })),
      context,
    );
  }
  const rows = dataset as readonly LabelledRow[];
  const { tokenizer, ...options } = textContext(context);
  const completionRows = rows.map(({ completion, label: _, ...row }) => ({
    ...row,
    completions: { completion },
  }));
  const { examples, notices } = yield* completionTokens(completionRows, tokenizer, options);
  const labels = rows.map(({ label }) => ({ columns: labelled(label) }));
  return { examples: examples.map((example, i) => ({ ...example, ...labels[i] })), notices };
}

/** The column that losses on labeled completions read. */
function labelled(desirable: boolean): Columns {
  return { desirable: [desirable ? 1 : 0] };
}

/** Whether a labeled example is desirable. */
export function isDesirable({ columns }: TokenizedExample): boolean {
  return columns?.desirable?.[0] === 1;
}

/** Each is a text to learn, after a prompt of at least one token that is not learned. Throws {@link InputError}. */
export function* prepareTexts(
  dataset: TextDataset,
  context: DataContext & { completionOnlyLoss: boolean | null; assistantOnlyLoss: boolean },
): Sliced<Prepared> {
  const { completionOnlyLoss, assistantOnlyLoss } = context;
  if (isTokenized(dataset)) {
    if (assistantOnlyLoss) {
      const what = say`contains token ids, but ${setting('assistantOnlyLoss')} needs conversations`;
      throw new InputError('training data', what, 'Provide messages, or leave it out');
    }
    const sequences = dataset as readonly TokenizedSequence[];
    // If prompts are learned too, all tokens but the first are learned.
    const cut = ({ prompt }: TokenizedSequence) => (completionOnlyLoss === false ? 1 : prompt.length);
    const examples = sequences.map((sequence) => {
      const ids = [...sequence.prompt, ...sequence.completion];
      return { prompt: ids.slice(0, cut(sequence)), completions: [ids.slice(cut(sequence))] };
    });
    return ofIds(examples, context);
  }
  const { tokenizer, ...options } = textContext(context);
  return yield* textTokens(dataset as readonly TextRow[], tokenizer, {
    ...options,
    completionOnlyLoss,
    assistantOnlyLoss,
  });
}

/**
 * Gives each example the completion of the one before it in its batch, as TRL does: KTO's baseline is estimated from the
 * log-probabilities of completions that were written for another prompt. The examples are shuffled once before, because a batch
 * must stay together from then on.
 */
export function withBaselines(
  examples: readonly TokenizedExample[],
  {
    batchSize,
    seed,
    shuffled,
    maxLength,
  }: { batchSize: number; seed: number; shuffled: boolean; maxLength: number },
): TokenizedExample[] {
  const order = shuffled ? [...shuffle(examples.length, seed, 0)] : examples.map((_, i) => i);
  const ordered = order.map((i) => examples[i]);
  return ordered.map((example, i) => {
    const start = i - (i % batchSize);
    const end = Math.min(start + batchSize, ordered.length);
    // A last batch of one would be paired with itself.
    const before = i > start ? i - 1 : end - start > 1 ? end - 1 : Math.max(0, i - 1);
    const other = ordered[before].completions[0];
    const fitting = other.slice(0, Math.max(1, maxLength - example.prompt.length));
    return { ...example, completions: [example.completions[0], fitting] };
  });
}

function isTokenized(dataset: readonly { prompt?: unknown }[]): boolean {
  return dataset.every(({ prompt }) => {
    const isList = Array.isArray(prompt) || ArrayBuffer.isView(prompt);
    return isList && typeof (prompt as TokenIds)[0] === 'number';
  });
}

/** Ids beyond the embedding would read past its end. */
function ofIds(examples: readonly TokenizedExample[], { model, keep }: DataContext): Prepared {
  const { vocabSize, maxPositionEmbeddings } = model.config;
  for (const [i, { prompt, completions }] of examples.entries()) {
    const where = `row ${i + 1}`;
    for (const ids of [prompt, ...completions]) requireTokenIds(ids, vocabSize, where);
    if (prompt.length === 0 || completions.some(({ length }) => length === 0)) {
      throw new InputError(where, 'has an empty prompt or completion', 'Provide at least one token for each');
    }
    const longest = prompt.length + Math.max(...completions.map(({ length }) => length));
    if (longest > maxPositionEmbeddings) {
      const what = `has ${longest} tokens, but ${model.name} supports at most ${maxPositionEmbeddings}`;
      throw new InputError(where, what, 'Shorten it');
    }
  }
  const kept = examples.map(({ prompt, completions, ...rest }) => ({
    ...rest,
    prompt: keep(prompt),
    completions: completions.map(keep),
  }));
  return { examples: kept, notices: [] };
}

/** Text needs a tokenizer; and the model's own limit applies in addition to `maxLength`. */
function textContext({ model, tokenizer, maxLength, keep }: DataContext) {
  const { maxPositionEmbeddings, vocabSize } = model.config;
  if (!tokenizer) {
    throw new InputError(
      'training data',
      'contains text, but no tokenizer was given',
      'Pass a processingClass',
    );
  }
  return { tokenizer, maxLength: Math.min(maxLength, maxPositionEmbeddings), vocabSize, keep };
}
