/**
 * A tiny random model for every row of the table of architectures, by the names of their files: made by
 * fixture_architectures.py.
 */
import gemma2 from '../fixtures/architectures/gemma2.json' with { type: 'json' };
import gemma3 from '../fixtures/architectures/gemma3.json' with { type: 'json' };
import gpt2 from '../fixtures/architectures/gpt2.json' with { type: 'json' };
import granite from '../fixtures/architectures/granite.json' with { type: 'json' };
import llama3 from '../fixtures/architectures/llama3.json' with { type: 'json' };
import mistral from '../fixtures/architectures/mistral.json' with { type: 'json' };
import olmo2 from '../fixtures/architectures/olmo2.json' with { type: 'json' };
import phi3 from '../fixtures/architectures/phi3.json' with { type: 'json' };
import qwen2 from '../fixtures/architectures/qwen2.json' with { type: 'json' };
import qwen3 from '../fixtures/architectures/qwen3.json' with { type: 'json' };
import smollm2 from '../fixtures/architectures/smollm2.json' with { type: 'json' };
import smollm3 from '../fixtures/architectures/smollm3.json' with { type: 'json' };
import type { EncodedArray } from '../reference/fixtures.ts';

/** What all files contain; each also has its own configuration and gradients. */
export interface ArchitectureFixture
  extends Pick<typeof mistral, Exclude<keyof typeof mistral, 'config' | 'gradients' | 'dpo'>> {
  config: { model_type: string };
  gradients: Readonly<Record<string, EncodedArray>>;
  dpo: Omit<typeof mistral.dpo, 'gradients'> & { gradients: Readonly<Record<string, EncodedArray>> };
}

export const FIXTURES = {
  llama3,
  smollm2,
  mistral,
  qwen2,
  qwen3,
  gemma3,
  gpt2,
  granite,
  smollm3,
  olmo2,
  phi3,
  gemma2,
};
