/**
 * `webalign`: the names of a first program. Open a model, train an adapter on preferences, generate, save. Runs wherever WebGPU
 * does: a page, a worker, Node. Every name here has its home in a subpath, and the rest of the package is there:
 *
 * | subpath | holds |
 * | --- | --- |
 * | `webalign/models` | models, adapters, generation, chat, reward models, scores of texts |
 * | `webalign/data` | rows, readers of data sets, tokenizers, packing |
 * | `webalign/trainers` | trainers and their settings, and the parts that a trainer of your own is made of |
 * | `webalign/losses` | losses and divergences, and what a loss of your own is made of |
 * | `webalign/logits` | softmax, KL, DPO and others on logits in buffers of your own |
 * | `webalign/rollouts` | rewards, judges, advantages, completions that the policy writes |
 * | `webalign/theory` | Theorem 1: exact on finite answer sets, and estimated from samples |
 * | `webalign/files` | model files wherever they lie, safetensors, caches, checkpoint stores |
 * | `webalign/gpu` | device, tensors, tape, kernels: what an operation of your own is made of |
 * | `webalign/node` | Node alone: its GPU, folders, caches on disk |
 * | `webalign/testing` | WebGPU in a headless browser, for tests |
 *
 * @module webalign
 */
export { readPreferenceRows } from './data/preference-dataset.ts';
export { Tokenizer } from './data/tokenizer.ts';
export { Gpu, type GpuOptions } from './gpu/device.ts';
export { NoAdapterError } from './gpu/errors.ts';
export { requestGpu } from './gpu/request.ts';
export { InputError } from './io/errors.ts';
export { readAdapter, writeAdapter } from './io/peft.ts';
export { openSource } from './io/sources.ts';
export { CausalLM } from './model/causal-lm.ts';
export { Chat } from './model/chat.ts';
export { generate } from './model/generation.ts';
export { LoraAdapter } from './model/lora.ts';
export { DPOTrainer } from './train/dpo-trainer.ts';
