/**
 * Which token id is skipped at the end of a sequence before its score is taken, by the name of the rule.
 */
import type { Tokenizer } from '../data/tokenizer.ts';
import { InputError } from '../io/errors.ts';
import type { RewardConfig } from './config.ts';

export type ScoredToken = RewardConfig['scoredToken'];

/** The inputs of the rules. */
export interface ScoredTokenContext {
  /** `pad_token_id` of the model's `config.json`. */
  modelPadId: number | undefined;
  /** The model's end tokens. */
  eosTokenIds: readonly number[];
  tokenizer: Tokenizer | undefined;
}

const RULES: Readonly<Record<ScoredToken, (context: ScoredTokenContext) => number | undefined>> = {
  auto: ({ modelPadId }) => modelPadId,
  last: () => undefined,
  last_non_pad: ({ tokenizer, modelPadId, eosTokenIds }) => {
    const id = tokenizer ? (tokenizer.padId ?? tokenizer.eosId) : (modelPadId ?? eosTokenIds[0]);
    if (id !== undefined) return id;
    const wayOut = 'Set "pad_token" in tokenizer_config.json, or score the last token';
    throw new InputError('scoredToken', 'the tokenizer has neither a pad token nor an end token', wayOut);
  },
};

/** The skipped id; undefined if the last token is always scored. */
export function skippedToken(rule: ScoredToken, context: ScoredTokenContext): number | undefined {
  return RULES[rule](context);
}
