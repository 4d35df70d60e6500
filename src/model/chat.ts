/**
 * A conversation with a model: messages through its chat template, answers piece by piece, the history kept. The oldest turns
 * are left out where the history does not fit into the model's positions, and that is told.
 */
import type { Message } from '../data/chat-template.ts';
import { TextStream } from '../data/text-stream.ts';
import { requireEmbedded, type Tokenizer } from '../data/tokenizer.ts';
import { InputError } from '../io/errors.ts';
import type { CausalLM } from './causal-lm.ts';
import {
  addUpdate,
  emptyGenerations,
  type Generation,
  type StreamOptions,
  streamGeneration,
} from './generation.ts';

/** The text of one continuation as it is written, and at the end all of its tokens. Throws as {@link streamGeneration} does. */
export async function* streamText(
  model: CausalLM,
  tokenizer: Tokenizer,
  prompt: readonly number[],
  options: StreamOptions,
): AsyncGenerator<string, Generation> {
  const [written] = emptyGenerations(1) as [Generation];
  const text = new TextStream(tokenizer);
  const stream = streamGeneration(model, [prompt], { every: 1, ...options, numReturnSequences: 1 });
  for await (const updates of stream) {
    for (const update of updates) {
      addUpdate(written, update);
      const piece = text.push(update.ids);
      if (piece) yield piece;
    }
  }
  const rest = text.end();
  if (rest) yield rest;
  return written;
}

export interface ChatOptions extends Omit<StreamOptions, 'numReturnSequences' | 'batchSize'> {
  /** What the model is told first. */
  system?: string | undefined;
  /** Hears what is left out of a conversation that has become too long. */
  onNotice?: ((line: string) => void) | undefined;
}

export class Chat {
  /** All that was said so far, the system message first if there is one. */
  readonly messages: Message[] = [];
  private readonly start: readonly Message[];
  /** Messages that no longer fit, after the system message. */
  private left = 0;

  /**
   * Throws {@link InputError} for a model without a chat template, and for one whose template has no place for a system
   * message, where there is one.
   */
  constructor(
    private readonly model: CausalLM,
    private readonly tokenizer: Tokenizer,
    private readonly options: ChatOptions,
  ) {
    const { system } = options;
    this.start = system === undefined ? [] : [{ role: 'system', content: system }];
    requireChatTemplate(tokenizer, system);
    this.reset();
  }

  /** Forgets what was said, but for the system message. */
  reset(): void {
    this.messages.splice(0, this.messages.length, ...this.start);
    this.left = 0;
  }

  /**
   * The answer to a message, in pieces; the message and the answer, as far as it came, become part of the conversation. The
   * generation is returned. Throws {@link InputError} for a message that does not fit by itself, which is then forgotten.
   */
  async *send(content: string): AsyncGenerator<string, Generation> {
    this.messages.push({ role: 'user', content });
    let prompt: number[];
    try {
      prompt = this.prompt();
    } catch (error) {
      this.messages.pop();
      throw error;
    }
    return yield* this.answer(prompt);
  }

  /** The answer to a whole conversation, which takes the place of this one; a system message of its own counts. */
  async *reply(messages: readonly Message[]): AsyncGenerator<string, Generation> {
    this.reset();
    if (messages[0]?.role === 'system') this.messages.length = 0;
    this.messages.push(...messages);
    return yield* this.answer(this.prompt());
  }

  private async *answer(prompt: readonly number[]): AsyncGenerator<string, Generation> {
    const { model, tokenizer, options, messages } = this;
    const { system, onNotice, ...asked } = options;
    // Every turn has random numbers of its own.
    const seed = (asked.seed ?? 0) + messages.length;
    const answer = streamText(model, tokenizer, prompt, { ...asked, seed });
    let text = '';
    try {
      for (;;) {
        const { done, value } = await answer.next();
        if (done) return value;
        text += value;
        yield value;
      }
    } finally {
      // Whoever stops listening stops the writing.
      await answer.return(undefined as never);
      messages.push({ role: 'assistant', content: text });
    }
  }

  /** Token ids of what the model reads: all messages, or the latest that leave room for an answer. */
  private prompt(): number[] {
    const { model, tokenizer, messages, options } = this;
    const { maxPositionEmbeddings, vocabSize } = model.config;
    const room = maxPositionEmbeddings - options.maxNewTokens;
    const first = messages[0]?.role === 'system' ? 1 : 0;
    const before = this.left;
    for (;;) {
      const read = [...messages.slice(0, first), ...messages.slice(first + this.left)];
      const ids = tokenizer.encodeChat(read, { addGenerationPrompt: true });
      requireEmbedded(tokenizer, ids, vocabSize, 'the conversation');
      if (ids.length <= room) {
        if (this.left > before) this.tellLeft(room);
        return ids;
      }
      const next = messages.findIndex(({ role }, i) => i > first + this.left && role === 'user');
      if (next < 0) {
        const what = `has ${ids.length} tokens, and with ${options.maxNewTokens} new ones ${model.name} has positions for ${Math.max(0, room)}`;
        throw new InputError('the message', what, 'Shorten it, or let the answer be shorter');
      }
      this.left = next - first;
    }
  }

  private tellLeft(room: number): void {
    const what = this.left === 1 ? 'message is' : `${this.left} messages are`;
    this.options.onNotice?.(
      `The conversation has more than ${room} tokens: its first ${what} left out of what the model reads.`,
    );
  }
}

/** Throws {@link InputError} where a conversation, and a system message if there is one, cannot be read. */
export function requireChatTemplate(tokenizer: Tokenizer, system?: string): void {
  const user = { role: 'user', content: 'Hello' };
  const options = { addGenerationPrompt: true };
  tokenizer.applyChatTemplate([user], options);
  if (system === undefined) return;
  const wayOut = 'Leave it out, or say it in the first message';
  let text: string;
  try {
    text = tokenizer.applyChatTemplate([{ role: 'system', content: system }, user], options);
  } catch (cause) {
    throw new InputError(tokenizer.name, 'the chat template refuses a system message', wayOut, { cause });
  }
  if (text.includes(system.trim())) return;
  throw new InputError(tokenizer.name, 'the chat template drops the system message', wayOut);
}
