/**
 * Words for the five tokens of `test/model/five-tokens.ts`, so that trainers with rollouts can run on it.
 */
import { Tokenizer } from '../../src/data/tokenizer.ts';
import { memoryFiles } from '../../src/io/files.ts';

export const LORA = {
  r: 4,
  loraAlpha: 16,
  targetModules: ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'],
};

/** `d b e` is the model's prompt. */
export function fiveWords(): Promise<Tokenizer> {
  const model = { type: 'WordLevel', vocab: { a: 0, b: 1, c: 2, d: 3, e: 4 }, unk_token: 'a' };
  const nothing = { normalizer: null, post_processor: null, decoder: null, added_tokens: [] };
  const tokenizer = { model, pre_tokenizer: { type: 'Whitespace' }, ...nothing };
  return Tokenizer.fromFiles(memoryFiles({ 'tokenizer.json': JSON.stringify(tokenizer) }));
}
