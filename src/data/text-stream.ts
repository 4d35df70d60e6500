/**
 * The text of tokens as they arrive, in pieces that later tokens do not change. A character whose bytes are spread over several
 * tokens comes with the last of them, and what a tokenizer puts between words comes once. Each piece is decoded with a few
 * tokens before it, so that a long text costs no more a token than a short one.
 */
import type { TokenIds } from './token-ids.ts';
import type { Tokenizer } from './tokenizer.ts';

/** What decoders write for bytes that are no character yet. */
const REPLACEMENT = '\uFFFD';

export class TextStream {
  private readonly ids: number[] = [];
  /** Tokens from here on are decoded together, */
  private context = 0;
  /** and those before this one have been told. */
  private told = 0;

  constructor(private readonly tokenizer: Pick<Tokenizer, 'decode'>) {}

  /** The text that `ids` complete; empty where their last character goes on. */
  push(ids: readonly number[]): string {
    this.ids.push(...ids);
    const piece = this.rest();
    if (piece === '' || piece.endsWith(REPLACEMENT)) return '';
    this.context = this.told;
    this.told = this.ids.length;
    return piece;
  }

  /** What is left when no more tokens come: bytes without the rest of their character are replacement characters. */
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

/** The text of `ids` as it goes on from `prompt`: decoded together, because a first token may carry the space. */
export function textAfter(tokenizer: Tokenizer, prompt: TokenIds, ids: TokenIds): string {
  return tokenizer.decode([...prompt, ...ids]).slice(tokenizer.decode(prompt).length);
}
