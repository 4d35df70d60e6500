/**
 * The input of a step of generation: the token that each live sequence was given last, at its position after the prompt.
 */
import { expect } from 'chai';
import { feed } from '../../src/ops/feed.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { testGpu } from '../support/gpu.ts';
import { placesOf } from '../support/places.ts';

describe('feed', () => {
  it('gives the last token and the next position of the live sequences, in any order', async () => {
    const gpu = await testGpu();
    const sequences = 3;
    // Prompts of 4, 2 and 3 tokens; the last row begins in step 1, and step 3 reads what overwrote step 0. For an invalid
    // token, the last one of the vocabulary is used.
    const places = placesOf(gpu, [
      { prompt: 0, promptEnd: 4, slot: 0 },
      { prompt: 4, promptEnd: 6, slot: 2 },
      { prompt: 6, promptEnd: 9, slot: 1, start: 1, first: 5 },
    ]);
    const tokens = Tensor.from(gpu, Uint32Array.of(7, 8, 9, 10, 11, 0xffffffff), [2, sequences], 'tokens');
    for (const { step, ids, positions } of [
      { step: 1, ids: [7, 9, 5], positions: [4, 2, 2] },
      { step: 2, ids: [10, 49, 11], positions: [5, 3, 3] },
      { step: 3, ids: [7, 9, 8], positions: [6, 4, 4] },
    ]) {
      const tape = Tape.forInference(gpu);
      const fed = feed(tape, { places, tokens } as Parameters<typeof feed>[1], { step, vocabulary: 50 });
      expect([...new Uint32Array(await gpu.read(fed.ids))]).to.deep.equal(ids);
      expect([...new Uint32Array(await gpu.read(fed.positions))]).to.deep.equal(positions);
      tape.dispose();
    }
    for (const tensor of [places, tokens]) gpu.pool.release(tensor);
  });
});
