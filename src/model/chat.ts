/**
 * A conversation with a model: renders messages with its chat template, streams answers, and keeps the history. If the
 * history exceeds the model's positions, the oldest turns are dropped with a notice.
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

/** Streams the text of one continuation; returns all of its tokens at the end. Throws like {@link streamGeneration}. */
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
  /** The system message. */
  system?: string | undefined;
  /** Reports messages that are dropped from a conversation that has become too long. */
  onNotice?: ((line: string) => void) | undefined;
}

export class Chat {
  /** The conversation so far, starting with the system message if there is one. */
  readonly messages: Message[] = [];
  private readonly start: readonly Message[];
  /** Number of messages after the system message that no longer fit. */
  private left = 0;

  /**
   * Throws {@link InputError} for a model without a chat template, and for a template that does not support a system
   * message if one is given.
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

  /** Clears the conversation, except the system message. */
  reset(): void {
    this.messages.splice(0, this.messages.length, ...this.start);
    this.left = 0;
  }

  /**
   * Streams the answer to a message; the message and the answer, even if interrupted, become part of the conversation.
   * Returns the generation. Throws {@link InputError} for a message that is too long on its own, which is then removed.
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

  /** The answer to a whole conversation, which replaces the current one; a system message in it is used. */
  async *reply(messages: readonly Message[]): AsyncGenerator<string, Generation> {
    this.reset();
    if (messages[0]?.role === 'system') this.messages.length = 0;
    this.messages.push(...messages);
    return yield* this.answer(this.prompt());
  }

  private async *answer(prompt: readonly number[]): AsyncGenerator<string, Generation> {
    const { model, tokenizer, options, messages } = this;
    const { system, onNotice, ...asked } = options;
    // Every turn uses different random numbers.
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
      // If the consumer stops, generation stops.
      await answer.return(undefined!);
      messages.push({ role: 'assistant', content: text });
    }
  }

  /** The token ids of the model's input: all messages, or the latest ones that leave room for an answer. */
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
        const what = `has ${ids.length} tokens, but with ${options.maxNewTokens} new ones ${model.name} has positions for ${Math.max(0, room)}`;
        throw new InputError('the message', what, 'Shorten it, or lower maxNewTokens');
      }
      this.left = next - first;
    }
  }

  private tellLeft(room: number): void {
    const what = this.left === 1 ? 'message is' : `${this.left} messages are`;
    this.options.onNotice?.(
      `The conversation has more than ${room} tokens: its first ${what} no longer passed to the model.`,
    );
  }
}

/** Throws {@link InputError} if the tokenizer cannot render a conversation, or its system message if given. */
export function requireChatTemplate(tokenizer: Tokenizer, system?: string): void {
  const user = { role: 'user', content: 'Hello' };
  const options = { addGenerationPrompt: true };
  tokenizer.applyChatTemplate([user], options);
  if (system === undefined) return;
  const wayOut = 'Leave it out, or include its text in the first message';
  let text: string;
  try {
    text = tokenizer.applyChatTemplate([{ role: 'system', content: system }, user], options);
  } catch (cause) {
    throw new InputError(tokenizer.name, 'the chat template rejects a system message', wayOut, { cause });
  }
  if (text.includes(system.trim())) return;
  throw new InputError(tokenizer.name, 'the chat template drops the system message', wayOut);
}
