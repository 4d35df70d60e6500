/**
 * How a Unigram model splits a word: into the tokens with the highest sum of scores; of two ways with the same sum, the one
 * whose last token is longer. Sums are compared where a token ends, like in the tokenizers library. Hugging Face's
 * JavaScript library compares them with the next token's score added, which rounds some differences away.
 */

import type { JsonObject } from '../io/json.ts';

/** The parts of the library's Unigram that are used here; other models have no `trie`. */
export interface UnigramModel {
  config?: JsonObject;
  unk_score?: number;
  unk_token?: string;
  tokens_to_ids?: ReadonlyMap<string, number>;
  trie?: { common_prefix_search(characters: readonly string[], start: number): Iterable<string> };
  tokenize?(word: string): string[];
}

/** Replaces the library's search, in place. Other models are not changed. */
export function breakTiesAsBefore(model: UnigramModel): void {
  const { config, trie, tokens_to_ids: ids, unk_score: unknown } = model;
  if (!config || !trie || !ids || unknown === undefined) return;
  // The library lowers the score of the unknown token if a text contains its name.
  const scores = (config.vocab as [string, number][]).map(([, score]) => score);
  model.tokenize = (word) => {
    const characters = Array.from(word);
    const best = new Float64Array(characters.length + 1);
    /** The start of the last token of the best way, by its end. */
    const starts = new Int32Array(characters.length + 1).fill(-1);
    const offer = (start: number, end: number, score: number) => {
      const sum = best[start] + score;
      if (starts[end] !== -1 && !(sum > best[end])) return;
      best[end] = sum;
      starts[end] = start;
    };
    for (let start = 0; start < characters.length; start++) {
      let hasSingle = false;
      for (const token of trie.common_prefix_search(characters, start)) {
        const length = Array.from(token).length;
        offer(start, start + length, scores[ids.get(token)!]);
        hasSingle ||= length === 1;
      }
      if (!hasSingle) offer(start, start + 1, unknown);
    }
    const tokens: string[] = [];
    for (let end = characters.length; end > 0; end = starts[end])
      tokens.push(characters.slice(starts[end], end).join(''));
    tokens.reverse();
    return config.byte_fallback === true ? withBytes(tokens, ids, model.unk_token) : tokens;
  };
}

/** Splits a run of unknown characters into byte tokens, if all of these exist. */
function withBytes(
  tokens: readonly string[],
  ids: ReadonlyMap<string, number>,
  unknown: string | undefined,
): string[] {
  const runs: { text: string; isKnown: boolean }[] = [];
  for (const text of tokens) {
    const isKnown = text !== unknown && ids.has(text);
    const last = runs.at(-1);
    if (last && !last.isKnown && !isKnown) last.text += text;
    else runs.push({ text, isKnown });
  }
  return runs.flatMap(({ text }) => {
    if (ids.has(text)) return [text];
    const bytes = Array.from(new TextEncoder().encode(text), byteToken);
    return bytes.every((each) => ids.has(each)) ? bytes : [text];
  });
}

const byteToken = (byte: number) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
