/**
 * `webalign/data`: rows of data and their readers (JSONL, CSV, Parquet), tokenizers and chat templates, token ids packed for the GPU.
 *
 * @module webalign/data
 */
export type { Message } from './data/chat-template.ts';
export {
  COMPARISONS,
  type Comparison,
  type ComparisonRow,
  type TokenizedComparison,
} from './data/comparison-dataset.ts';
export { type DataForm, type DataRow, type RowValue, setOf } from './data/data-form.ts';
export { parseDataset } from './data/jsonl.ts';
export { LABELLED, type LabelledRow, readLabelledRows, toLabelledRows } from './data/labelled-dataset.ts';
export { looksLikeMessages, textOrMessages } from './data/messages.ts';
export {
  type MixedPart,
  type MixOptions,
  type Mixture,
  mixDatasets,
  type StoppingStrategy,
} from './data/mix-datasets.ts';
export {
  type ColumnSpecs,
  type Columns,
  type PackedBatch,
  packPairs,
  packSequences,
  type TokenizedExample,
  type TokenizedPair,
  type TokenizedSequence,
} from './data/packing.ts';
export {
  PREFERENCES,
  type PreferenceRow,
  readPreferenceRows,
  toPreferenceRow,
  trainEvalSplit,
} from './data/preference-dataset.ts';
export { PROMPTS, type PromptRow, readPromptRows } from './data/prompt-dataset.ts';
export { shuffle } from './data/random.ts';
export { readDataset } from './data/read-dataset.ts';
export { wholeSentences } from './data/sentences.ts';
export { type Guard, useGuard } from './data/stranger.ts';
export { readTextRows, TEXTS, type TextRow } from './data/text-dataset.ts';
export { TextStream, textAfter } from './data/text-stream.ts';
export type { TokenIds } from './data/token-ids.ts';
export { type TokenizeOptions, tokenizeCompletions, tokenizePairs } from './data/tokenize-completions.ts';
export { tokenizeTexts } from './data/tokenize-texts.ts';
export { requireEmbedded, Tokenizer } from './data/tokenizer.ts';
