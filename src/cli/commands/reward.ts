/**
 * `webalign reward`: the implicit reward of given answers, from a policy and its reference.
 */
import { mean } from '../../base/mean.ts';
import { CHAT_COLUMNS } from '../../data/chat-columns.ts';
import type { DataForm, RowValue } from '../../data/data-form.ts';
import { toLabelledRows } from '../../data/labelled-dataset.ts';
import type { TokenizedSequence } from '../../data/packing.ts';
import { toPreferenceRow } from '../../data/preference-dataset.ts';
import { type CompletionRow, tokenizeCompletions } from '../../data/tokenize-completions.ts';
import { InputError } from '../../io/errors.ts';
import { exactJson } from '../../io/exact-json.ts';
import { DPO_DEFAULTS } from '../../train/config.ts';
import { type ImplicitReward, implicitRewards, separation } from '../../train/measures/implicit-rewards.ts';
import { command } from '../command.ts';
import { adapterJson, openModel, openModelFiles, withGpu } from '../open.ts';
import { MODEL_OPTIONS } from '../options.ts';
import { readAllRows } from '../training-data.ts';

export const reward = command({
  name: 'reward',
  summary: 'rate answers by the reward that a policy is optimal for',
  description:
    'Every policy defines a reward model, β log π(y|x)/π_ref(y|x), up to a constant for each ' +
    'prompt. The policy is the model with its adapters, the reference the model without the last one. Accepts rows of ' +
    'prompt, chosen and rejected; of prompt, completion and label; of prompt and a list of completions, which it ranks.',
  example: 'reward --model HuggingFaceTB/SmolLM2-135M --adapter adapter --data pairs.jsonl --beta 0.1',
  options: [...MODEL_OPTIONS, 'dtype', 'adapter', 'q', 'data', 'beta', 'maxLength'],
  required: ['model', 'adapter', 'data'],
  defaults: { beta: DPO_DEFAULTS.beta, maxLength: DPO_DEFAULTS.maxLength },
  async run({ settings, terminal, signal }) {
    const { data, beta, maxLength } = settings;
    const rows = await readAllRows(data, ANSWERS, (line) => terminal.info(line));
    const files = await openModelFiles(settings, terminal, signal);
    return withGpu(terminal, settings, async (gpu) => {
      const { model, tokenizer } = await openModel(gpu, files, {
        ...settings,
        onNotice: (line) => terminal.info(line),
      });
      const limit = Math.min(maxLength, model.config.maxPositionEmbeddings);
      const { vocabSize } = model.config;
      const { examples, notices } = tokenizeCompletions(rows, tokenizer, { maxLength: limit, vocabSize });
      for (const line of notices) terminal.info(line);
      const sequences = examples.flatMap(({ prompt, completions }): TokenizedSequence[] =>
        completions.map((completion) => ({ prompt, completion })),
      );
      const onProgress = (done: number, total: number) => terminal.progress('Rating', done, total, 'answers');
      const options = { beta, without: model.adapters.slice(-1), signal, onProgress };
      const rewards = await implicitRewards(model, sequences, options);
      let next = 0;
      const results = rows.map((row) => {
        const own = rewards.slice(next, next + Object.keys(row.completions).length);
        next += own.length;
        return { ...(row.label === undefined ? {} : { label: row.label }), answers: ranked(own) };
      });
      for (const line of ratings(rows, results)) terminal.print(line);
      const metrics = metricsOf(rows, results);
      for (const [name, value] of Object.entries(metrics)) terminal.print(`${name} ${value.toFixed(4)}`);
      return { json: { results, metrics, beta, adapter: adapterJson(gpu.adapter) } };
    });
  },
});

interface AnswerRow extends CompletionRow {
  label?: boolean;
}

const ANSWERS: DataForm<AnswerRow> = {
  columns: ['prompt', 'chosen', 'rejected', 'completion', 'label', 'completions', ...CHAT_COLUMNS],
  needed: [
    ['prompt', 'completions'],
    ['prompt', 'chosen', 'rejected'],
    ['chosen', 'rejected'],
    ['prompt', 'completion'],
  ],
  wayOut: 'Give "prompt" together with "chosen" and "rejected", with "completion", or with "completions"',
  toRows: (value, where) => [toAnswers(value, where)],
};

/** A row in any of the three forms. */
function toAnswers(value: RowValue, where: string): AnswerRow {
  if (Array.isArray(value.completions)) {
    const { prompt, completions } = value;
    const texts = completions.filter((each): each is string => typeof each === 'string' && each !== '');
    if (typeof prompt !== 'string' || texts.length === 0 || texts.length < completions.length) {
      const wayOut = 'Write "prompt" and each completion as text';
      throw new InputError(
        where,
        '"completions" must be a list of strings, given together with "prompt"',
        wayOut,
      );
    }
    return {
      prompt,
      completions: Object.fromEntries(texts.map((text, i) => [`completion ${i + 1}`, text])),
      where,
    };
  }
  if ((value.chosen ?? null) !== null) {
    const { chosen, rejected, ...row } = toPreferenceRow(value, where);
    return { ...row, completions: { chosen, rejected } };
  }
  const labelled = value.label !== undefined;
  const [row] = toLabelledRows(labelled ? value : { ...value, label: true }, where);
  const { completion, label, ...rest } = row;
  return { ...rest, completions: { completion }, ...(labelled ? { label } : {}) };
}

type RankedReward = ImplicitReward & { rank: number };

/** With the rank of each among the answers to its prompt, 1 for the best. */
function ranked(answers: readonly ImplicitReward[]): RankedReward[] {
  return answers.map((answer) => ({
    ...answer,
    rank: 1 + answers.filter((other) => other.reward > answer.reward).length,
  }));
}

/** Answers without metrics, one per line under their prompt, the best first. */
function ratings(
  rows: readonly AnswerRow[],
  results: readonly { answers: readonly RankedReward[] }[],
): string[] {
  return rows.flatMap(({ prompt, completions, label, where }, i) => {
    if ('chosen' in completions || label !== undefined) return [];
    const texts = Object.values(completions);
    const rated = (results[i].answers as RankedReward[]).map((answer, a) => ({ ...answer, text: texts[a] }));
    const sorted = rated.sort((a, b) => a.rank - b.rank);
    const asked = typeof prompt === 'string' ? prompt : where;
    return [
      `${asked}`,
      ...sorted.map(
        ({ rank, reward, text }) =>
          `${`${rank}`.padStart(4)}  ${reward.toFixed(4).padStart(9)}  ${oneLine(text)}`,
      ),
    ];
  });
}

/** Text unchanged, messages as JSON, on one line. */
function oneLine(answer: string | readonly object[] | undefined): string {
  return (typeof answer === 'string' ? answer : exactJson(answer)).replace(/\s+/g, ' ').trim();
}

/** TRL's metrics over pairs, and how well labeled answers are separated. */
function metricsOf(
  rows: readonly AnswerRow[],
  results: readonly { label?: boolean; answers: readonly ImplicitReward[] }[],
): Record<string, number> {
  const pairs = results.flatMap(({ answers }, i) => ('chosen' in rows[i].completions ? [answers] : []));
  const labelled = results.filter(({ label }) => label !== undefined);
  const margins = pairs.map(([chosen, rejected]) => chosen.reward - rejected.reward);
  const told = separation(
    labelled.map(({ answers }) => answers[0].reward),
    labelled.map(({ label }) => label!),
  );
  return {
    ...(pairs.length > 0
      ? {
          'rewards/chosen': mean(pairs.map(([chosen]) => chosen.reward)),
          'rewards/rejected': mean(pairs.map(([, rejected]) => rejected.reward)),
          'rewards/margins': mean(margins),
          'rewards/accuracies': mean(margins.map((margin) => (margin > 0 ? 1 : 0))),
        }
      : {}),
    ...(told
      ? { auc: told.auc, 'rewards/desirable': told.desirable, 'rewards/undesirable': told.undesirable }
      : {}),
  };
}
