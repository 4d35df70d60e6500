/**
 * What trainers on rollouts make of their options before they begin: prompts in tokens, a length that fits the model, and what a
 * person should know.
 */
import type { PromptRow } from '../data/prompt-dataset.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { InputError } from '../io/errors.ts';
import type { DataOptions } from '../train/task.ts';
import { type Prompt, repeatedPrompts, samplingNotices, tokenizePrompts } from './sampling.ts';

type LengthArgs = { [Name in 'maxCompletionLength' | 'max_completion_length' | 'max_new_tokens']?: number };

export interface PreparedRollouts<Config> {
  /** With a length that fits. */
  config: Config;
  tokenizer: Tokenizer;
  prompts: Prompt[];
  heldOut: Prompt[];
  notices: string[];
}

/** Throws {@link InputError} where there is no tokenizer, and for a prompt that does not fit, by its row. */
export function prepareRollouts<Config extends { maxCompletionLength: number }>(
  given: Config,
  options: Pick<DataOptions<LengthArgs, readonly PromptRow[]>, 'model' | 'args' | 'processingClass'> & {
    trainDataset: readonly PromptRow[];
    evalDataset?: readonly PromptRow[] | undefined;
  },
): PreparedRollouts<Config> {
  const { model, processingClass: tokenizer, trainDataset, evalDataset = [] } = options;
  if (!tokenizer)
    throw new InputError('training data', 'is text, and no tokenizer was given', 'Give a processingClass');
  const { length: maxCompletionLength, notice } = fittingLength(
    given.maxCompletionLength,
    options.args,
    model.config.maxPositionEmbeddings,
  );
  const prompts = tokenizePrompts(trainDataset, tokenizer, model, maxCompletionLength);
  const heldOut = tokenizePrompts(evalDataset, tokenizer, model, maxCompletionLength);
  const lines = [...samplingNotices(model), repeatedPrompts(prompts), notice];
  const notices = lines.filter((line) => line !== undefined);
  return { config: { ...given, maxCompletionLength }, tokenizer, prompts, heldOut, notices };
}

/** A default length shrinks to half of the model's positions where it would leave no room for a prompt. */
function fittingLength(
  wanted: number,
  given: LengthArgs | undefined,
  positions: number,
): { length: number; notice?: string } {
  const most = Math.floor(positions / 2);
  const named = given?.maxCompletionLength ?? given?.max_completion_length ?? given?.max_new_tokens;
  if (named !== undefined || wanted <= most) return { length: wanted };
  const notice = `maxCompletionLength is ${most}: the model has ${positions} positions, and prompts need some.`;
  return { length: most, notice };
}
