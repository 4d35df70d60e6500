/**
 * Prepares the options of trainers on rollouts: tokenizes prompts, limits the completion length to the model, and collects
 * notices.
 */
import { atOnce, type Sliced } from '../base/slices.ts';
import type { PromptRow } from '../data/prompt-dataset.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { InputError } from '../io/errors.ts';
import type { DataOptions } from '../train/training-task.ts';
import { type CertifiedSettings, certificateNotice } from './evaluation.ts';
import { type Reward, rewardNotices } from './rewards.ts';
import { type Prompt, promptTokens, repeatedPrompts, samplingNotices } from './sampling.ts';

/** The options of a trainer on prompts. */
export interface PromptOptions extends DataOptions<object, readonly PromptRow[]> {
  rewardFuncs?: Reward | readonly Reward[];
}

export interface PreparedPrompts {
  tokenizer: Tokenizer;
  prompts: Prompt[];
  heldOut: Prompt[];
  notices: string[];
}

/** Throws {@link InputError} if there is no tokenizer, and for a prompt that is too long, with its row. */
export function preparePrompts(
  options: PromptOptions,
  settings: CertifiedSettings & { maxCompletionLength: number },
): PreparedPrompts {
  return atOnce(preparedPrompts(options, settings));
}

/** {@link preparePrompts} in slices. */
export function* preparedPrompts(
  { model, processingClass: tokenizer, trainDataset, evalDataset = [], rewardFuncs = [] }: PromptOptions,
  { maxCompletionLength, ...settings }: CertifiedSettings & { maxCompletionLength: number },
): Sliced<PreparedPrompts> {
  if (!tokenizer)
    throw new InputError('training data', 'is text, but no tokenizer was given', 'Give a processingClass');
  const rows = [...trainDataset, ...evalDataset];
  const all = yield* promptTokens(rows, tokenizer, model, maxCompletionLength);
  const [prompts, heldOut] = [all.slice(0, trainDataset.length), all.slice(trainDataset.length)];
  const lines = [
    ...samplingNotices(model),
    repeatedPrompts(prompts),
    ...rewardNotices([rewardFuncs].flat(), tokenizer),
    certificateNotice(settings, heldOut.length),
  ];
  return { tokenizer, prompts, heldOut, notices: lines.filter((line) => line !== undefined) };
}

/** Reduces a default length to half of the model's positions if it would leave no room for a prompt. */
export function withFittingLength<Config extends { maxCompletionLength: number }>(
  config: Config,
  { model, args = {} }: Pick<PromptOptions, 'model' | 'args'>,
): { config: Config; notices: string[] } {
  const { maxPositionEmbeddings: positions } = model.config;
  const most = Math.floor(positions / 2);
  const given: { [Name in (typeof LENGTH_NAMES)[number]]?: number } = args;
  const isChosen = LENGTH_NAMES.some((name) => given[name] !== undefined);
  if (isChosen || config.maxCompletionLength <= most) return { config, notices: [] };
  const notice = `maxCompletionLength is ${most}: the model only has ${positions} positions, and prompts need some of them.`;
  return { config: { ...config, maxCompletionLength: most }, notices: [notice] };
}

const LENGTH_NAMES = [
  'maxCompletionLength',
  'max_completion_length',
  'response_length',
  'max_new_tokens',
] as const;
