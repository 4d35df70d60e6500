/**
 * `webalign logprobs`: the log-probability of every token of given texts.
 */
import { counted } from '../../base/counted.ts';
import type { DataForm, DataRow, RowValue } from '../../data/data-form.ts';
import type { TokenizedSequence } from '../../data/packing.ts';
import { doubledBos } from '../../data/tokenize-completions.ts';
import { requireEmbedded, requireTokenIds, type Tokenizer } from '../../data/tokenizer.ts';
import { InputError, listed, quote } from '../../io/errors.ts';
import type { CausalLM } from '../../model/causal-lm.ts';
import { sequenceLogprobs } from '../../train/measures/sequence-logprobs.ts';
import { command } from '../command.ts';
import { adapterJson, openModel, openModelFiles, readRows, withGpu } from '../open.ts';
import { MODEL_OPTIONS } from '../options.ts';

/** Texts, or token ids; which of them a row has is checked when there is a tokenizer. */
const SCORED: DataForm<DataRow> = {
  columns: ['text', 'ids'],
  needed: [['text'], ['ids']],
  wayOut: 'Give one of them',
  toRows: (value, where) => [{ value, where }],
};

export const logprobs = command({
  name: 'logprobs',
  summary: 'log-probability of each token of texts',
  description:
    'Prints log π(token | all tokens before it) for every token of the given texts. The first token of a text has\n' +
    'no context and no value, so there is one log-probability fewer than there are ids.',
  example: 'logprobs --model HuggingFaceTB/SmolLM2-135M --input texts.jsonl --json',
  options: [...MODEL_OPTIONS, 'dtype', 'adapter', 'q', 'input'],
  required: ['model', 'input'],
  defaults: {},
  async run({ settings, terminal, signal }) {
    const { input } = settings;
    const rows = await readRows(input, SCORED, (line) => terminal.info(line));
    const files = await openModelFiles(settings, terminal, signal);
    return withGpu(terminal, settings, async (gpu) => {
      const { model, tokenizer } = await openModel(gpu, files, {
        ...settings,
        onNotice: (line) => terminal.info(line),
      });
      const texts = rows.map(({ value, where }) => tokensOf(value, where, tokenizer, model));
      const doubled = doubledBos(texts, tokenizer, 'text');
      if (doubled) terminal.info(doubled);
      const onProgress = (done: number, total: number) => terminal.progress('Scoring', done, total, 'texts');
      const scores = await sequenceLogprobs(model, texts.map(toSequence), { signal, onProgress });
      const results = texts.map((ids, i) => ({ ids, logprobs: [...scores[i]] }));
      for (const { ids, logprobs: values } of results) {
        const sum = values.reduce((a, b) => a + b, 0);
        const perToken = values.length > 0 ? (sum / values.length).toFixed(4) : '–';
        terminal.print(`${counted(ids.length, 'token')}, sum ${sum.toFixed(4)}, mean ${perToken}`);
      }
      return { json: { results, peakBytes: gpu.memory().peak, adapter: adapterJson(gpu.adapter) } };
    });
  },
});

/** The ids of a row, checked against the model. */
function tokensOf(row: RowValue, where: string, tokenizer: Tokenizer, { config, name }: CausalLM): number[] {
  const tokens = typeof row.text === 'string' ? tokenizer.encode(row.text) : row.ids;
  if (!Array.isArray(tokens)) {
    const found = listed(Object.keys(row).map((key) => quote(key)));
    throw new InputError(
      where,
      `"text" must be text, or "ids" a list; got only ${found}`,
      'Give one of them',
    );
  }
  if (typeof row.text === 'string') requireEmbedded(tokenizer, tokens, config.vocabSize, where);
  requireTokenIds(tokens, config.vocabSize, where);
  if (tokens.length === 0)
    throw new InputError(where, 'has no tokens', 'Give at least one, or remove the row');
  if (tokens.length > config.maxPositionEmbeddings) {
    const what = `has ${tokens.length} tokens, but ${name} supports at most ${config.maxPositionEmbeddings}`;
    throw new InputError(where, what, 'Shorten it, or split it in two');
  }
  return tokens;
}

function toSequence([first, ...rest]: number[]): TokenizedSequence {
  return { prompt: [first], completion: rest };
}
