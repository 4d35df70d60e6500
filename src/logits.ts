/**
 * `webalign/logits`: operations on float32 logits (N, V), including your own GPUBuffers ({@link logitsOf}): softmax,
 * log-probabilities, entropy, KL, and a whole DPO loss with its gradient.
 *
 * @module webalign/logits
 */
export { type DpoOptions, type DpoResult, dpo, type PreferenceLogits } from './losses/logits.ts';
export { entropy } from './ops/entropy.ts';
export { expectation } from './ops/expectation.ts';
export { type KlDirection, kl } from './ops/kl.ts';
export { logitsOf } from './ops/logits.ts';
export { logSumExp } from './ops/logsumexp.ts';
export { logSoftmax, softmax } from './ops/softmax.ts';
export { headLogprobs, tokenLogprobs } from './ops/token-logprob.ts';
