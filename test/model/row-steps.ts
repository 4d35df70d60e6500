/** Counts what generation does, rather than timing it. */
import type { Gpu } from '../../src/gpu/device.ts';
import type { CausalLM } from '../../src/model/causal-lm.ts';
import { Decoding } from '../../src/model/decoding.ts';
import { generate, sampledTokens } from '../../src/model/generation.ts';
import type { GenerationOptions } from '../../src/model/generation-options.ts';

/** Generates texts. `rowSteps`: each step counts as many as it has rows. A plan's rehearsal does not count. */
export async function counted(model: CausalLM, prompts: number[][], options: GenerationOptions) {
  const { advance } = Decoding.prototype;
  let rowSteps = 0;
  Decoding.prototype.advance = function (...args) {
    if (!(this as unknown as { gpu: Gpu }).gpu.counting) rowSteps += this.rows;
    return advance.apply(this, args);
  };
  try {
    const texts = await generate(model, prompts, options);
    const tokens = texts.reduce((sum, text) => sum + sampledTokens(text).length, 0);
    return { texts, rowSteps, tokens };
  } finally {
    Decoding.prototype.advance = advance;
  }
}
