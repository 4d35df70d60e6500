/**
 * `webalign best-of-n`: draws n completions of each prompt and keeps the best by any reward.
 */
import { PROMPTS, type PromptRow } from '../../data/prompt-dataset.ts';
import { readDataset } from '../../data/read-dataset.ts';
import { writeFiles } from '../../node/folder.ts';
import { type BestCompletion, bestOfN, bestOfNKlBound } from '../../rollout/best-of-n.ts';
import { rewardNotices, textOfCompletion, weighedRewards } from '../../rollout/rewards.ts';
import { ROLLOUTS } from '../../train/settings/rollouts.ts';
import { command } from '../command.ts';
import { UsageError } from '../failures.ts';
import { adapterJson, openFile, openModel, openModelFiles, withGpu } from '../open.ts';
import { MODEL_OPTIONS } from '../options.ts';
import { loadRewards } from '../rewards.ts';
import { BEST, openRunFolder } from '../run-folder.ts';

const DEFAULT_N = 8;
const DEFAULT_LENGTH = 64;

export const bestOfNCommand = command({
  name: 'best-of-n',
  summary: 'draw n completions of each prompt and keep the best',
  description:
    'Draws --n completions of each prompt, rates them by --reward, and keeps the one with the largest. Takes --prompt or rows of ' +
    `prompt (--data), whose other columns reach the reward. With --out it writes ${BEST}, rows of prompt, completion and reward.`,
  example:
    'best-of-n --model demos/align/model --prompt "Tom was" --reward sentiment --n 16 --max-tokens 40 --seed 1',
  options: [
    ...MODEL_OPTIONS,
    'dtype',
    'adapter',
    'q',
    'data',
    'prompt',
    'reward',
    'rewardWeights',
    'rewardTimeout',
    'n',
    'numGenerations',
    'maxTokens',
    'maxCompletionLength',
    'temperature',
    'seed',
    'out',
    'overwrite',
  ],
  required: ['model', 'reward'],
  defaults: { temperature: 1, seed: 42, rewardTimeout: ROLLOUTS.rewardTimeout.default },
  shown: { n: DEFAULT_N, maxTokens: DEFAULT_LENGTH },
  async run({ settings, terminal, signal }) {
    const { data, prompt = [], temperature, seed, rewardTimeout, rewardWeights, out, overwrite } = settings;
    const n = oneOf('--n', settings.n, '--num-generations', settings.numGenerations) ?? DEFAULT_N;
    const maxCompletionLength =
      oneOf('--max-tokens', settings.maxTokens, '--max-completion-length', settings.maxCompletionLength) ??
      DEFAULT_LENGTH;
    if (!(Number.isSafeInteger(n) && n >= 1))
      throw new UsageError(`--n is ${n}: give a whole number from 1.`);
    const given = prompt.map((text, i): PromptRow => ({ prompt: text, where: `prompt ${i + 1}` }));
    const rows = [...given, ...(data === undefined ? [] : await readDataset(await openFile(data), PROMPTS))];
    if (rows.length === 0) throw new UsageError('best-of-n needs --prompt or --data.');
    const folder =
      out === undefined ? undefined : await openRunFolder(out, { writes: 'best', atOnce: true, overwrite });
    const files = await openModelFiles(settings, terminal, signal);
    return withGpu(terminal, settings, async (gpu) => {
      const onNotice = (line: string) => terminal.info(line);
      const { model, tokenizer } = await openModel(gpu, files, { ...settings, onNotice });
      const context = { model, tokenizer, settings, terminal, signal };
      const functions = await loadRewards(settings.reward, { maxCompletionLength }, context);
      const rewards = weighedRewards(functions, rewardWeights);
      for (const line of rewardNotices(functions, tokenizer)) terminal.info(line);
      const drawing = { n, maxCompletionLength, temperature, seed, rewardTimeout };
      const running = bestOfN(model, tokenizer, rows, rewards, drawing, signal);
      let next = await running.next();
      for (; !next.done; next = await running.next())
        terminal.progress('Writing', next.value, rows.length * n * maxCompletionLength, 'tokens at most');
      signal.throwIfAborted();
      const results = next.value as BestCompletion[];
      for (const { prompt: asked, completion, reward } of results)
        terminal.print(
          `${reward?.toFixed(4) ?? '–'}  ${textOfCompletion(asked)}${textOfCompletion(completion ?? '')}`,
        );
      if (folder && out !== undefined) {
        await folder.clear();
        const kept = results.map(({ rewards: _, ...row }) => `${JSON.stringify(row)}\n`).join('');
        await writeFiles(out, { [BEST]: new TextEncoder().encode(kept) });
      }
      const reward = {
        best: mean(results.map(({ reward: best }) => best)),
        mean: mean(results.flatMap((row) => row.rewards)),
      };
      const klBound = bestOfNKlBound(n);
      terminal.print(
        `Mean reward ${reward.best?.toFixed(4) ?? '–'}, of all ${reward.mean?.toFixed(4) ?? '–'}; KL at most ${klBound.toFixed(3)}`,
      );
      return {
        json: {
          results,
          n,
          reward,
          klBound,
          peakBytes: gpu.memory().peak,
          adapter: adapterJson(gpu.adapter),
        },
      };
    });
  },
});

/** A number under either of two flags. */
function oneOf(
  flag: string,
  value: number | undefined,
  other: string,
  alias: number | undefined,
): number | undefined {
  if (value !== undefined && alias !== undefined)
    throw new UsageError(`${flag} and ${other} are the same here: leave one of them out.`);
  return value ?? alias;
}

/** Of the values that are there; null where none is. */
function mean(values: readonly (number | null)[]): number | null {
  const there = values.filter((value) => value !== null);
  return there.length === 0 ? null : there.reduce((a, b) => a + b, 0) / there.length;
}
