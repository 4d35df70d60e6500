/**
 * `webalign score`: scores of texts by a reward model.
 */
import type { Message } from '../../data/chat-template.ts';
import type { DataForm, RowValue } from '../../data/data-form.ts';
import { textOrMessages } from '../../data/messages.ts';
import { InputError, listed, quote } from '../../io/errors.ts';
import type { ScoreInput } from '../../train/measures/reward-model.ts';
import { command } from '../command.ts';
import { UsageError } from '../failures.ts';
import { adapterJson, openModelFiles, withGpu } from '../open.ts';
import { MODEL_OPTIONS } from '../options.ts';
import { openRewardModel } from '../reward-models.ts';
import { readAllRows } from '../training-data.ts';

const WAY_OUT = 'Give "text", "prompt" and "completion", "messages", or "ids"';

const SCORED: DataForm<ScoreInput> = {
  columns: ['text', 'prompt', 'completion', 'messages', 'ids'],
  needed: [['text'], ['prompt', 'completion'], ['messages'], ['ids']],
  wayOut: WAY_OUT,
  toRows: (value, where) => [toInput(value, where)],
};

export const score = command({
  name: 'score',
  summary: 'score texts with a reward model',
  description:
    'Scores texts with a reward model: either --model itself, or --model with an --adapter written by reward-model. ' +
    'Accepts rows of text, of prompt and completion, or of messages; EOS is appended to text, as in training. Rows of ids are used as ' +
    'they are.',
  example: 'score --model HuggingFaceTB/SmolLM2-135M --adapter reward --input texts.jsonl --json',
  options: [...MODEL_OPTIONS, 'dtype', 'adapter', 'input', 'data', 'scoredToken'],
  required: ['model'],
  defaults: {},
  async run({ settings, terminal, signal }) {
    const { input, data } = settings;
    const paths = input === undefined ? data : [input];
    if (paths === undefined || (input !== undefined && data !== undefined))
      throw new UsageError('score needs --input, the file with the texts.');
    const rows = await readAllRows(paths, SCORED);
    const files = await openModelFiles(settings, terminal, signal);
    return withGpu(terminal, settings, async (gpu) => {
      const model = await openRewardModel(gpu, files, settings, (line) => terminal.info(line));
      const sequences = rows.map((row) => ({ prompt: [], completion: model.encode(row) }));
      const onProgress = (done: number, total: number) => terminal.progress('Scoring', done, total, 'texts');
      const scores = await model.scoreTokens(sequences, { signal, onProgress });
      const results = scores.map((value, i) => ({ score: value, ids: sequences[i]?.completion }));
      for (const { score: value } of results) terminal.print(value.toFixed(4));
      const { padTokenId = null } = model;
      return {
        json: { results, padTokenId, peakBytes: gpu.memory().peak, adapter: adapterJson(gpu.adapter) },
      };
    });
  },
});

function toInput({ text, prompt, completion, messages, ids }: RowValue, where: string): ScoreInput {
  if (Array.isArray(ids)) return { ids: ids as number[] };
  if (typeof text === 'string') return text;
  if (messages !== undefined) return { messages: textOrMessages(messages, 'messages', where) as Message[] };
  if (completion !== undefined) {
    const sides = {
      prompt: textOrMessages(prompt ?? '', 'prompt', where),
      completion: textOrMessages(completion, 'completion', where),
    };
    if (typeof sides.prompt === typeof sides.completion) return sides;
    const what = '"prompt" and "completion" must both be text or both be messages';
    throw new InputError(where, what, 'Convert one of them');
  }
  const found = listed(
    Object.entries({ text, prompt }).flatMap(([name, value]) => (value === undefined ? [] : [quote(name)])),
  );
  throw new InputError(where, `has nothing to score, only ${found || 'other columns'}`, WAY_OUT);
}
