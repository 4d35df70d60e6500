/**
 * Rewards by their command-line names: a built-in one; a file whose default export, or whose
 * exported functions, rate a batch of completions; or the folder of a reward model.
 */
import { existsSync, statSync } from 'node:fs';
import { basename, extname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { own } from '../base/lookup.ts';
import { didYouMean } from '../base/suggest.ts';
import { InputError, listed } from '../io/errors.ts';
import { REWARDS, type RewardOptions } from '../rollout/built-in-rewards.ts';
import type { BatchReward, Reward } from '../rollout/rewards.ts';
import { type RewardContext, rewardModelIn } from './reward-models.ts';

export type { RewardContext };

/** The rewards with these names, in order. Throws {@link InputError} for an unknown name. */
export async function loadRewards(
  names: readonly string[],
  options: RewardOptions,
  context: RewardContext,
): Promise<Reward[]> {
  const loaded: Reward[] = [];
  for (const name of names) loaded.push(...(await loadReward(name, options, context)));
  return loaded;
}

async function loadReward(name: string, options: RewardOptions, context: RewardContext): Promise<Reward[]> {
  const builtIn = own(REWARDS, name);
  if (builtIn) return [named(name, builtIn(options))];
  const known = Object.keys(REWARDS);
  if (!existsSync(name)) {
    const wayOut = `${didYouMean(name, known)}Supported: ${listed(known)}, a file such as reward.mjs, or the folder of a reward model`;
    throw new InputError('--reward', `there is no reward and no file called ${name}`, wayOut);
  }
  if (statSync(name).isDirectory()) return [await rewardModelIn(name, context)];
  const exported = await import(pathToFileURL(resolve(name)).href).catch((cause: unknown) => {
    const what = `cannot be loaded: ${cause instanceof Error ? cause.message : cause}`;
    throw new InputError(name, what, 'Fix the file', { cause });
  });
  const { default: only, ...others } = exported as Record<string, unknown>;
  if (typeof only === 'function') {
    const file = basename(name, extname(name));
    return [named(only.name === 'default' || only.name === '' ? file : only.name, only as BatchReward)];
  }
  const functions = Object.entries(others).filter(([, value]) => typeof value === 'function');
  if (functions.length > 0) return functions.map(([each, reward]) => named(each, reward as BatchReward));
  throw new InputError(name, 'exports no function', 'Export one: export default (batch) => [1, 0, …]');
}

/** The same function under another name. */
function named(name: string, reward: BatchReward): BatchReward {
  return Object.defineProperty((batch: Parameters<BatchReward>[0]) => reward(batch), 'name', { value: name });
}
