/**
 * The text of tokens as they arrive, in pieces that later tokens do not change. A character whose bytes are spread over
 * several tokens is returned with the last of them, and spaces that a tokenizer adds between words appear once. Each piece
 * is decoded together with a few previous tokens, so the cost per token does not grow with the text.
 */
import type { TokenIds } from './token-ids.ts';
import type { Tokenizer } from './tokenizer.ts';

/** Decoders write this for bytes that are not yet a complete character. */
const REPLACEMENT = '\uFFFD';

export class TextStream {
  private readonly ids: number[] = [];
  /** Tokens from here on are decoded together. */
  private context = 0;
  /** The text of tokens before this one has been returned. */
  private told = 0;

  constructor(private readonly tokenizer: Pick<Tokenizer, 'decode'>) {}

  /** The text that `ids` complete; empty if their last character is incomplete. */
  push(ids: readonly number[]): string {
    this.ids.push(...ids);
    const piece = this.rest();
    if (piece === '' || piece.endsWith(REPLACEMENT)) return '';
    this.context = this.told;
    this.told = this.ids.length;
    return piece;
  }

  /** The remaining text when no more tokens follow; incomplete characters become replacement characters. */
  end(): string {
    const piece = this.rest();
    this.context = this.told;
    this.told = this.ids.length;
    return piece;
  }

  private rest(): string {
    const { tokenizer, ids, context, told } = this;
    const before = tokenizer.decode(ids.slice(context, told));
    return tokenizer.decode(ids.slice(context)).slice(before.length);
  }
}

/** The text of `ids` after `prompt`: decoded together, because the first token may contain the space. */
export function textAfter(tokenizer: Tokenizer, prompt: TokenIds, ids: TokenIds): string {
  return tokenizer.decode([...prompt, ...ids]).slice(tokenizer.decode(prompt).length);
}
