/**
 * Which token id is skipped at the end of a sequence before its score is taken, by the name of the rule.
 */
import type { Tokenizer } from '../data/tokenizer.ts';
import { InputError } from '../io/errors.ts';
import type { RewardConfig } from './config.ts';

export type ScoredToken = RewardConfig['scoredToken'];

/** What the rules may look at. */
export interface ScoredTokenContext {
  /** `pad_token_id` of the model's `config.json`. */
  modelPadId: number | undefined;
  /** Tokens that end a text, by the model. */
  eosTokenIds: readonly number[];
  tokenizer: Tokenizer | undefined;
}

const RULES: Readonly<Record<ScoredToken, (context: ScoredTokenContext) => number | undefined>> = {
  auto: ({ modelPadId }) => modelPadId,
  last: () => undefined,
  last_non_pad: ({ tokenizer, modelPadId, eosTokenIds }) => {
    const id = tokenizer ? (tokenizer.padId ?? tokenizer.eosId) : (modelPadId ?? eosTokenIds[0]);
    if (id !== undefined) return id;
    const wayOut = 'Name a "pad_token" in tokenizer_config.json, or let the last token be scored';
    throw new InputError('scoredToken', 'there is neither a pad token nor an end token', wayOut);
  },
};

/** The id that is skipped; undefined where the last token is scored, whatever it is. */
export function skippedToken(rule: ScoredToken, context: ScoredTokenContext): number | undefined {
  return RULES[rule](context);
}
