/**
 * Rows that sequences of unequal lengths take in turns: the same texts and log-probabilities whatever the number of rows, with few
 * prompts in the cache at a time, by both kinds of passes, and hardly a step of a row without a token.
 */
import { expect } from 'chai';
import type { Gpu } from '../../src/gpu/device.ts';
import { Variants } from '../../src/gpu/variants.ts';
import { FoldedPass } from '../../src/model/folded-pass.ts';
import { type Generation, generate } from '../../src/model/generation.ts';
import { adaptedModel } from '../bench/cases/writing.ts';
import { MODELS } from '../bench/models.ts';
import { random } from '../reference/compare.ts';
import { testGpu } from '../support/gpu.ts';
import { counted } from './row-steps.ts';

const VOCABULARY = MODELS.embedded.vocab_size;
/** A model with random weights samples nearly uniformly: a text has 12 tokens on average. */
const EOS = Array.from({ length: Math.floor(VOCABULARY / 12) }, (_, i) => 12 * i);

const promptsFor = (count: number) => {
  const { int, ints } = random(count);
  return Array.from({ length: count }, () => [...ints(1 + int(30), VOCABULARY)]);
};

function expectSame(found: readonly Generation[], expected: readonly Generation[]): void {
  const plain = (texts: readonly Generation[]) => texts.map(({ logprobs: _, ...text }) => text);
  expect(plain(found)).to.deep.equal(plain(expected));
  for (const kind of ['sampling', 'model'] as const) {
    const values = (texts: readonly Generation[]) => texts.flatMap(({ logprobs }) => logprobs?.[kind] ?? []);
    const all = values(expected);
    // Prompts that are computed together, and rows of a product, may be added up in another order.
    for (const [i, value] of values(found).entries()) expect(value).to.be.closeTo(all[i], 1e-4);
  }
}

describe('rows', () => {
  for (const [kind, names] of [
    ['folded', []],
    ['layered', ['register']],
  ] as const) {
    it(`do not change texts, ${kind} layers`, async () => {
      const gpu: Gpu = Object.create(await testGpu(), { variants: { value: new Variants(names) } });
      const model = await adaptedModel(gpu);
      expect(FoldedPass.serves(model)).to.equal(kind === 'folded');
      for (const [count, numReturnSequences] of [
        [36, 1],
        [9, 4],
      ] as const) {
        const options = { maxNewTokens: 18, seed: 4, eosTokenIds: EOS, numReturnSequences };
        const more = { returnLogprobs: true, repetitionPenalty: 1.2 };
        const prompts = promptsFor(count);
        const whole = await generate(model, prompts, { ...options, ...more, batchSize: 36 });
        expect(new Set(whole.map(({ ids }) => ids.length)).size).to.be.above(6);
        for (const batchSize of [1, 5, 16]) {
          expectSame(await generate(model, prompts, { ...options, ...more, batchSize }), whole);
        }
        const plain = await generate(model, prompts, { ...options, batchSize: 7 });
        expectSame(plain, await generate(model, prompts, { ...options, batchSize: 36 }));
      }
      model.dispose();
    });
  }

  it('do not change texts: 256 rows and 16', async () => {
    const model = await adaptedModel(await testGpu());
    const options = { maxNewTokens: 12, seed: 2, eosTokenIds: EOS, numReturnSequences: 8 };
    const [many, few] = [
      await counted(model, promptsFor(40), { ...options, batchSize: 256 }),
      await counted(model, promptsFor(40), { ...options, batchSize: 16 }),
    ];
    expect(many.texts).to.have.length(320);
    expect(many.texts).to.deep.equal(few.texts);
    expect(few.rowSteps).to.be.below(many.rowSteps);
    model.dispose();
  });

  it('take about one step per token', async () => {
    const model = await adaptedModel(await testGpu());
    const options = { maxNewTokens: 48, seed: 2, eosTokenIds: EOS };
    const count = async (prompts: number, numReturnSequences: number) => {
      const { rowSteps, tokens } = await counted(model, promptsFor(prompts), {
        ...options,
        numReturnSequences,
        batchSize: 16,
      });
      return rowSteps / tokens;
    };
    // A group's prompt is in the cache before its rows are free. The rest is the last sequences' end.
    expect(await count(30, 8)).to.be.within(1, 1.1);
    // Each sequence has its own prompt, which is computed when an earlier one has been read.
    expect(await count(120, 1)).to.be.within(1, 1.3);
    model.dispose();
  });

  it('are not refilled where every sequence has one from the start', async () => {
    const gpu = await testGpu();
    const model = await adaptedModel(gpu);
    const dispatches = async (batchSize: number) => {
      const before = gpu.recorder.report.dispatches;
      await generate(model, promptsFor(6), { maxNewTokens: 9, seed: 1, eosTokenIds: [], batchSize });
      return gpu.recorder.report.dispatches - before;
    };
    const [whole, halves] = [await dispatches(6), await dispatches(3)];
    // Twice the steps, of 24 kernels each, and one more in a step for which a sequence may wait.
    expect(halves - whole).to.be.within(9 * 24, 9 * 24 + 18);
    expect(await dispatches(100)).to.equal(whole);
    model.dispose();
  });
});
