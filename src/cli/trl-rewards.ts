/**
 * Additional parts of a folder for TRL's online DPO: a Python file in which the user implements the rewards, and TRL's names of
 * the settings. Pure.
 */
import { basename, extname } from 'node:path';
import { say, setting } from '../base/sentence.ts';
import { InputError } from '../io/errors.ts';
import type { OnlineDPOConfig } from '../train/config.ts';

export const TRL_REWARDS = 'rewards.py';

/** Values of settings that TRL's online DPO supports; it has no setting for the first three. */
const ONLY: readonly [name: keyof OnlineDPOConfig, values: readonly unknown[]][] = [
  ['labels', ['greedy']],
  ['numIterations', [1]],
  ['stepsPerGeneration', [null, 1]],
  ['lossType', ['sigmoid', 'ipo']],
];

/** Throws {@link InputError} for settings that TRL's online DPO does not support. */
export function requireOnline(settings: OnlineDPOConfig, folder: string): void {
  for (const [name, values] of ONLY) {
    const value = settings[name];
    if (values.includes(value)) continue;
    const what = say`TRL's online DPO has no ${setting(name)} ${String(value)}`;
    throw new InputError(folder, what, say`Train with ${setting(name)} ${String(values[0])}`);
  }
}

/** Arguments under the names of `OnlineDPOConfig`. `positions` is the model's maximum length, so that TRL truncates nothing. */
export function onlineArguments(
  {
    max_completion_length,
    num_generations_eval: _,
    steps_per_generation: __,
    num_iterations: ___,
    ...rest
  }: Readonly<Record<string, unknown>>,
  positions: number,
): Record<string, unknown> {
  return { ...rest, max_new_tokens: max_completion_length, max_length: positions };
}

/** `rewards.py`, with a function to implement for each reward. */
export function rewardsScript(rewards: readonly string[]): string {
  const names: string[] = [];
  for (const reward of rewards) {
    const name = `reward_${basename(reward, extname(reward)).replace(/\W/g, '_')}`;
    names.push(names.includes(name) ? `${name}_${names.length + 1}` : name);
  }
  const functions = names.map(
    (name, i) => `def ${name}(prompts, completions, **columns):
    raise NotImplementedError("write this reward in rewards.py: " + ${JSON.stringify(rewards[i])})
`,
  );
  return `"""The rewards of the run, to implement in Python: webalign's are JavaScript, which TRL cannot call.

Each function gets lists of prompts and completions, as texts or as conversations, and the other columns of the rows by name. It
returns one number per completion. REWARDS may also contain a reward model instead of a function: its folder or Hub name as text.
"""

${functions.join('\n\n')}

REWARDS = [${names.join(', ')}]
`;
}
