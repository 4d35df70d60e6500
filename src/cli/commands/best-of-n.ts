/**
 * `webalign best-of-n`: samples n completions of each prompt and keeps the one with the highest reward.
 */

import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { counted } from '../../base/counted.ts';
import { mean } from '../../base/mean.ts';
import { PROMPTS } from '../../data/prompt-dataset.ts';
import { InputError } from '../../io/errors.ts';
import { writeFileAtomic } from '../../node/folder.ts';
import { lockFile } from '../../node/folder-lock.ts';
import { type BestCompletion, bestOfN } from '../../rollout/best-of-n.ts';
import { textOfCompletion } from '../../rollout/rewards.ts';
import { command } from '../command.ts';
import { UsageError } from '../failures.ts';
import { adapterJson, openModel, openModelFiles, withGpu } from '../open.ts';
import { MODEL_OPTIONS } from '../options.ts';
import { loadRewards } from '../rewards.ts';
import { readAllRows } from '../training-data.ts';

/** Default number of completions per prompt. */
const USUAL = 8;

export const bestOfNCommand = command({
  name: 'best-of-n',
  summary: 'sample n completions of each prompt and keep the best by a reward',
  description:
    'Writes --num-generations completions of each prompt of --data, rates them with --reward, and writes the best of each to\n' +
    '--out, JSON Lines: {"prompt", "completion", "reward", "n", "rewards"}, with the other columns of the row. The file can be used\n' +
    'as data for webalign sft. A prompt is skipped, with a message, if none of its completions can be rated.',
  example:
    'best-of-n --model demos/align/model --data prompts.jsonl --reward sentiment --num-generations 16 --max-completion-length 40 --out best.jsonl',
  options: [
    ...MODEL_OPTIONS,
    'dtype',
    'adapter',
    'q',
    'data',
    'reward',
    'rewardWeights',
    'rewardTimeout',
    'out',
    'overwrite',
    'numGenerations',
    'n',
    'maxCompletionLength',
    'temperature',
    'seed',
  ],
  required: ['model', 'data', 'reward', 'out'],
  defaults: { maxCompletionLength: 64, temperature: 1, seed: 42, rewardTimeout: 600 },
  shown: { numGenerations: USUAL },
  async run({ settings, terminal, signal }) {
    const { data, out, reward, rewardWeights, rewardTimeout, overwrite } = settings;
    const { maxCompletionLength, temperature, seed } = settings;
    if (settings.n !== undefined && settings.numGenerations !== undefined)
      throw new UsageError('--n and --num-generations are the same here: leave out one of them.');
    const n = settings.numGenerations ?? settings.n ?? USUAL;
    await using _ = await lockFile(out);
    const path = await freePath(out, overwrite ?? false);
    const rows = await readAllRows(data, PROMPTS);
    const files = await openModelFiles(settings, terminal, signal);
    return await withGpu(terminal, settings, async (gpu) => {
      const { model, tokenizer } = await openModel(gpu, files, {
        ...settings,
        onNotice: (line) => terminal.info(line),
      });
      const context = { model, tokenizer, settings, terminal, signal };
      const rewardFuncs = await loadRewards(reward, { maxCompletionLength }, context);
      const started = performance.now();
      let tokens = 0;
      const kept: BestCompletion[] = [];
      const drawing = { n, maxCompletionLength, temperature, seed, rewardWeights, rewardTimeout, signal };
      const onTokens = (written: number) => {
        tokens = written;
        terminal.glimpse('Writing', tokens, rows.length * n * maxCompletionLength, 'tokens at most');
      };
      const options = { model, processingClass: tokenizer, prompts: rows, rewardFuncs, ...drawing, onTokens };
      for await (const best of bestOfN(options)) kept.push(best);
      const left = rows.filter((row) => !kept.some((best) => best.row === row));
      for (const { where = 'a row' } of left)
        terminal.info(`${where}: no completion was rated, so the prompt is skipped.`);
      if (kept.length === 0)
        throw new InputError(data.join(', '), 'has no prompt with a rated completion', 'Use another reward');
      const lines = kept.map((best) => `${JSON.stringify(lineOf(best, n))}\n`).join('');
      await writeFileAtomic(path, new TextEncoder().encode(lines));
      for (const { row, completion, reward: best } of kept)
        terminal.print(
          `${best.toPrecision(4)}  ${textOfCompletion(row.prompt)}${textOfCompletion(completion)}`,
        );
      terminal.print(`${counted(kept.length, 'completion')}, each the best of ${n}, written to ${out}`);
      const all = kept.flatMap(({ rewards }) => rewards.filter((each) => each !== null));
      return {
        json: {
          prompts: kept.length,
          leftOut: left.length,
          n,
          completions: rows.length * n,
          reward: { mean: mean(all), best: mean(kept.map(({ reward: best }) => best)) },
          // An upper bound for any reward (Beirami et al. 2024).
          klBound: Math.log(n) - (n - 1) / n,
          tokens,
          tokensPerSecond: (1000 * tokens) / (performance.now() - started),
          peakBytes: gpu.memory().peak,
          adapter: adapterJson(gpu.adapter),
          out,
        },
      };
    });
  },
});

/** A row of the file; its own fields take precedence over columns of the same name. */
function lineOf({ row, completion, reward, rewards }: BestCompletion, n: number): object {
  return { ...row.columns, prompt: row.prompt, completion, reward, n, rewards };
}

/** The output file. Throws {@link InputError} for a folder, and for an existing file. */
async function freePath(out: string, overwrite: boolean): Promise<string> {
  const found = await stat(out).catch(() => undefined);
  if (found?.isDirectory())
    throw new InputError(out, 'is a folder', `Give a file, such as ${join(out, 'best.jsonl')}`);
  if (found && !overwrite)
    throw new InputError(out, 'already exists', 'Give another file, or add --overwrite');
  return out;
}
