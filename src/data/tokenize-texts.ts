/**
 * Converts texts and conversations to token ids for supervised fine-tuning by TRL's rules (`SFTTrainer._prepare_dataset`,
 * 1.16): EOS ends text. If a row has a prompt and a completion, only the completion is learned by default; of a whole text
 * or conversation, everything is.
 */
import { atOnce, type Sliced } from '../base/slices.ts';
import { InputError } from '../io/errors.ts';
import type { Message } from './chat-template.ts';
import { mapGuarded } from './stranger.ts';
import type { TextRow } from './text-dataset.ts';
import {
  completionTokens,
  encodeWithEos,
  located,
  notice,
  type TokenizedRows,
  type TokenizeOptions,
  whereOf,
} from './tokenize-completions.ts';
import { turnTokens } from './tokenize-turns.ts';
import { requireEmbedded, type Tokenizer } from './tokenizer.ts';

export interface TokenizeTextOptions extends TokenizeOptions {
  /** Whether prompts are excluded from learning; null or undefined: they are excluded if there are any. */
  completionOnlyLoss?: boolean | null;
  /** Whether only the assistant's parts of conversations are learned, as marked by `{% generation %}` in the template. */
  assistantOnlyLoss?: boolean;
}

/** The texts in the order of `rows`, and notices for the user, one line each. */
export function tokenizeTexts(
  rows: readonly TextRow[],
  tokenizer: Tokenizer,
  options: TokenizeTextOptions = {},
): TokenizedRows {
  return atOnce(textTokens(rows, tokenizer, options));
}

/** {@link tokenizeTexts} in slices. */
export function* textTokens(
  rows: readonly TextRow[],
  tokenizer: Tokenizer,
  options: TokenizeTextOptions = {},
): Sliced<TokenizedRows> {
  const { maxLength = Number.POSITIVE_INFINITY, vocabSize = Number.POSITIVE_INFINITY } = options;
  const { keep = (ids) => ids } = options;
  const { completionOnlyLoss } = options;
  if (options.assistantOnlyLoss) return yield* turnTokens(rows, tokenizer, options);
  const prompted = rows.filter(({ prompt }) => prompt !== undefined).length;
  if (prompted > 0 && completionOnlyLoss !== false) {
    const whole = rows.find(({ prompt }) => prompt === undefined);
    if (whole) {
      const what = 'the row has no prompt, but other rows do';
      throw new InputError(whole.where ?? 'a row', what, 'Give all rows the same columns');
    }
    const completionRows = rows.map(({ prompt = '', completion, ...row }) => ({
      ...row,
      prompt,
      completions: { completion },
    }));
    return yield* completionTokens(completionRows, tokenizer, { maxLength, vocabSize, keep });
  }
  if (completionOnlyLoss) {
    throw new InputError('settings', 'completionOnlyLoss is on, but no row has a prompt', 'Leave it out');
  }
  const cut: number[] = [];
  const examples = yield* mapGuarded(rows, whereOf, (row, index) => {
    const { prompt = '', completion, tools, chatTemplateKwargs } = row;
    const where = whereOf(row, index);
    const ids = located(where, () =>
      typeof completion === 'string'
        ? encodeWithEos((prompt as string) + completion, tokenizer)
        : tokenizer.encodeChat([...(prompt as Message[]), ...completion], { tools, chatTemplateKwargs }),
    );
    if (ids.length < 2)
      throw new InputError(where, 'has no token to predict', 'Write more, or remove the row');
    requireEmbedded(tokenizer, ids, vocabSize, where);
    if (ids.length > maxLength) cut.push(index + 1);
    return { prompt: keep(ids.slice(0, 1)), completions: [keep(ids.slice(1, maxLength))] };
  });
  const notices = [notice(cut, `longer than max_length ${maxLength}; the end is cut`)];
  return { examples, notices: notices.filter((line) => line !== undefined) };
}
