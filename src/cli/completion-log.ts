/**
 * `completions.jsonl` of a run: one line for each completion that the policy sampled for training, with its rewards (TRL's
 * `log_completions`). Written batch by batch. On resuming, lines of steps that will be repeated are removed first.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { addToFile, folderFiles, writeFiles } from '../node/folder.ts';
import type { TrainEvent } from '../train/events.ts';
import { COMPLETION_LOG } from './run-folder.ts';

type Rollout = Extract<TrainEvent, { type: 'rollout' }>;

export class CompletionLog {
  constructor(private readonly folder: string) {}

  /** Stores the completions of an event, if it has any. */
  async see(event: TrainEvent): Promise<void> {
    if (event.type === 'start') await this.keepUntil(event.resumedFrom ?? 0);
    if (event.type !== 'rollout') return;
    await addToFile(join(this.folder, COMPLETION_LOG), new TextEncoder().encode(linesOf(event)));
  }

  private async keepUntil(step: number): Promise<void> {
    const before = (await folderFiles(this.folder).exists(COMPLETION_LOG))
      ? await readFile(join(this.folder, COMPLETION_LOG), 'utf8')
      : '';
    const kept = before.split('\n').filter((line) => stepOf(line) <= step);
    const text = kept.map((line) => `${line}\n`).join('');
    await writeFiles(this.folder, { [COMPLETION_LOG]: new TextEncoder().encode(text) });
  }
}

/** Step of a line of the log. A truncated line counts as later than all others. */
function stepOf(line: string): number {
  try {
    const { step } = JSON.parse(line) as { step: number };
    return step;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

function linesOf({ step, prompts, completions, rewards, advantages, rewardsByFunction }: Rollout): string {
  const copies = completions.length / Math.max(1, prompts.length);
  const lines = completions.map((completion, i) => {
    const named = Object.entries(rewardsByFunction).map(([name, values]) => [name, values[i] ?? null]);
    return JSON.stringify({
      step,
      prompt: prompts[Math.floor(i / copies)],
      completion,
      rewards: Object.fromEntries(named),
      reward: rewards[i],
      advantage: advantages[i],
    });
  });
  return lines.map((line) => `${line}\n`).join('');
}
