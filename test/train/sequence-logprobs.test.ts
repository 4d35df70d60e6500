/** Scores of given sequences: equal to PyTorch's, in any batch. */
import { expect } from 'chai';
import { sequenceLogprobs } from '../../src/train/measures/sequence-logprobs.ts';
import { expectRefused } from '../io/refused.ts';
import { loadFixture } from '../model/tiny.ts';
import { relativeL2 } from '../reference/compare.ts';
import { tinyLlama } from '../reference/fixtures.ts';
import { COARSE_PASS } from '../support/coarse.ts';
import { testGpu } from '../support/gpu.ts';

const split = ([first, ...completion]: readonly number[]) => ({ prompt: [first], completion });

describe('train/sequence-logprobs', () => {
  it('equals PyTorch, in one batch or in many, and leaves nothing behind', async () => {
    const gpu = await testGpu();
    const model = await loadFixture(gpu);
    const { sequences, base } = tinyLlama.reference;
    const given = [...sequences.map(split), { prompt: [7], completion: [] }];
    const before = gpu.memory().live;
    const heard: number[] = [];
    const one = await sequenceLogprobs(model, given);
    const many = await sequenceLogprobs(model, given, {
      batchTokens: 1,
      onProgress: (done) => heard.push(done),
    });
    expect(gpu.memory().live).to.equal(before);
    expect(one.map(({ length }) => length)).to.deep.equal(given.map(({ completion }) => completion.length));
    expect(
      relativeL2(
        one.flatMap((values) => [...values]),
        base.logprobs.flat(),
      ),
    ).to.be.below(1e-5 + COARSE_PASS);
    expect(
      relativeL2(
        many.flatMap((values) => [...values]),
        base.logprobs.flat(),
      ),
    ).to.be.below(1e-5 + COARSE_PASS);
    expect(heard).to.deep.equal([1, 2, 3]);
    model.dispose();
  });

  it('rejects invalid input', async () => {
    const model = await loadFixture(await testGpu());
    const score = (prompt: number[], completion: number[]) => () =>
      sequenceLogprobs(model, [{ prompt, completion }]);
    await expectRefused(score([], [1]), 'sequence 1', 'no token to start from');
    await expectRefused(score([1], [97]), 'sequence 1', '97');
    await expectRefused(score([1], Array(80).fill(5)), 'sequence 1', '64');
    model.dispose();
  });
});
