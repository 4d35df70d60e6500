/**
 * A group of completions shares its prompt: log-probabilities, references and gradients are those of eight separate
 * prompts, and a micro-batch holds whole groups.
 */
import { expect } from 'chai';
import { packExamples, type TokenizedExample } from '../../src/data/packing.ts';
import { sequenceLogprobs } from '../../src/train/measures/sequence-logprobs.ts';
import { loadFixture, pass, randomPairs } from '../model/tiny.ts';
import { random, relativeL2 } from '../reference/compare.ts';
import { tinyLlama } from '../reference/fixtures.ts';
import { COARSE_PASS } from '../support/coarse.ts';
import { testGpu } from '../support/gpu.ts';

const GROUP = 8;

/** Groups of completions, and the same completions each with its own prompt. */
function groups(seed: number): { shared: TokenizedExample[]; repeated: TokenizedExample[] } {
  const { ints } = random(seed);
  const shared = randomPairs(2, seed).map(({ prompt }) => ({
    prompt,
    completions: Array.from({ length: GROUP }, (_, g) => [...ints(1 + ((3 * g) % 7), 97)]),
  }));
  const repeated = shared.flatMap(({ prompt, completions }) =>
    completions.map((completion) => ({ prompt, completions: [completion] })),
  );
  return { shared, repeated };
}

describe('groups that share a prompt', () => {
  it('are scored like completions with their own prompts', async () => {
    const model = await loadFixture(await testGpu());
    const { repeated } = groups(3);
    const sequences = repeated.map(({ prompt, completions: [completion] }) => ({
      prompt,
      completion: completion,
    }));
    // Neighbors with the same prompt share it; copies of the prompt whose tokens differ in order do not.
    const together = await sequenceLogprobs(model, sequences);
    const apart = await Promise.all(sequences.map((sequence) => sequenceLogprobs(model, [sequence])));
    const flat = (all: readonly Float32Array[]) => all.flatMap((values) => [...values]);
    expect(relativeL2(flat(together), flat(apart.flat()))).to.be.below(1e-6 + COARSE_PASS);
    model.dispose();
  });

  it('have the gradients of repeated prompts', async () => {
    const gpu = await testGpu();
    const model = await loadFixture(gpu, tinyLlama, true);
    const { shared, repeated } = groups(4);
    const [packed, apart] = [packExamples(shared), packExamples(repeated)];
    expect(packed.ids.length).to.be.below(apart.ids.length);
    expect([...packed.targets]).to.deep.equal([...apart.targets]);
    const upstream = Float32Array.from(random(5).normals(packed.rows.length));
    const gradients = [];
    for (const batch of [packed, apart]) {
      model.parameters!.zeroGradients();
      await pass(gpu, model, batch, upstream);
      gradients.push(await model.parameters!.read('gradients'));
    }
    const [one, many] = gradients as [Map<string, Float32Array>, Map<string, Float32Array>];
    for (const [name, values] of one) {
      expect(relativeL2(values, many.get(name)!), name).to.be.below(1e-5 + COARSE_PASS);
    }
    model.dispose();
  });
});
