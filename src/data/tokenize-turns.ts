/**
 * Converts conversations to token ids of which only the assistant's turns are learned, by TRL's rules
 * (`assistant_only_loss` of its `SFTTrainer`, 1.16): the parts between `{% generation %}` and `{% endgeneration %}` of the
 * chat template. Unlike TRL, a row with nothing to learn is rejected by number rather than dropped.
 */
import { say, setting } from '../base/sentence.ts';
import type { Sliced } from '../base/slices.ts';
import { InputError } from '../io/errors.ts';
import type { TokenizedExample } from './packing.ts';
import { mapGuarded } from './stranger.ts';
import type { TextRow } from './text-dataset.ts';
import type { TokenIds } from './token-ids.ts';
import {
  commonPrefix,
  located,
  notice,
  type TokenizedRows,
  type TokenizeOptions,
  whereOf,
} from './tokenize-completions.ts';
import { requireEmbedded, type Tokenizer } from './tokenizer.ts';

/**
 * The conversations in the order of `rows`. If a row has a prompt, nothing before the completion is learned, unless
 * requested.
 */
export function* turnTokens(
  rows: readonly TextRow[],
  tokenizer: Tokenizer,
  {
    maxLength,
    vocabSize = Number.POSITIVE_INFINITY,
    completionOnlyLoss,
    keep = (ids) => ids,
  }: TokenizeOptions & { completionOnlyLoss?: boolean | null },
): Sliced<TokenizedRows> {
  const cut: number[] = [];
  const examples = yield* mapGuarded(rows, whereOf, (row, index) => {
    const { prompt, completion, tools, chatTemplateKwargs } = row;
    const where = whereOf(row, index);
    if (typeof completion === 'string' || typeof prompt === 'string') {
      const what = say`is text, but ${setting('assistantOnlyLoss')} only applies to conversations`;
      throw new InputError(where, what, 'Give messages, or leave it out');
    }
    const context = { tools, chatTemplateKwargs };
    const { ids, isAssistant } = located(where, () =>
      tokenizer.encodeMarkedChat([...(prompt ?? []), ...completion], context),
    );
    requireEmbedded(tokenizer, ids, vocabSize, where);
    const asked = located(where, () =>
      prompt && completionOnlyLoss !== false
        ? tokenizer.encodeChat(prompt, { ...context, addGenerationPrompt: true })
        : [],
    );
    if (ids.length > (maxLength ?? ids.length)) cut.push(index + 1);
    const turns = { where, ids, isAssistant, from: Math.max(1, commonPrefix(asked, ids)) };
    return learnedTurns(turns, maxLength, keep);
  });
  const notices = [notice(cut, `longer than max_length ${maxLength}; the end is cut`)];
  return {
    examples,
    notices: [...notices, endNotice(tokenizer)].filter((line) => line !== undefined),
  };
}

interface Turns {
  where: string;
  ids: readonly number[];
  isAssistant: readonly boolean[];
  /** Earlier tokens are not learned. */
  from: number;
}

/** The tokens before the first learned one become the prompt. */
function learnedTurns(
  { where, ids, isAssistant, from }: Turns,
  maxLength = ids.length,
  keep: (ids: TokenIds) => TokenIds,
): TokenizedExample {
  const learned = isAssistant.flatMap((is, i) => (is && i >= from ? [i] : []));
  const within = learned.filter((i) => i < maxLength);
  const [first] = within;
  if (first === undefined) {
    const what =
      learned.length > 0
        ? say`none of the assistant's tokens is within ${setting('maxLength')} ${maxLength}`
        : 'has no token of the assistant to learn: the text between {% generation %} and {% endgeneration %} of the chat template is empty';
    throw new InputError(
      where,
      what,
      learned.length > 0
        ? 'Raise it, or remove the row'
        : 'Give it a turn of the assistant, or remove the row',
    );
  }
  const targets = within.map((i) => i - first);
  return {
    prompt: keep(ids.slice(0, first)),
    completions: [keep(ids.slice(first, maxLength))],
    targets: [targets],
  };
}

/** A notice if the template does not include the end of an assistant's turn, like TRL's warning. */
function endNotice(tokenizer: Tokenizer): string | undefined {
  const turns = ['user', 'assistant', 'user'].map((role) => ({ role, content: 'a' }));
  let probe: ReturnType<Tokenizer['encodeMarkedChat']>;
  try {
    probe = tokenizer.encodeMarkedChat(turns);
  } catch (error) {
    if (error instanceof InputError) return undefined;
    throw error;
  }
  const written = probe.ids.filter((_, i) => probe.isAssistant[i]).reverse();
  const last = written.find((id) => tokenizer.decode([id], { skipSpecialTokens: false }).trim() !== '');
  if (last === undefined || tokenizer.isAdded(last)) return undefined;
  return "The chat template leaves the end of an assistant's turn out of {% generation %}: the model may not learn to stop.";
}
