/**
 * Generation with folded weights compared with separate layers: the same tokens and log-probabilities, few dispatches per
 * token for any number of rows, and separate layers where folding does not work.
 */
import { expect } from 'chai';
import embedded from '../../demos/align/model/config.json' with { type: 'json' };
import type { Gpu } from '../../src/gpu/device.ts';
import { Variants } from '../../src/gpu/variants.ts';
import type { JsonObject } from '../../src/io/json.ts';
import { CausalLM } from '../../src/model/causal-lm.ts';
import { FoldedPass } from '../../src/model/folded-pass.ts';
import { generate } from '../../src/model/generation.ts';
import type { GenerationOptions } from '../../src/model/generation-options.ts';
import { adaptedModel } from '../bench/cases/writing.ts';
import { randomModel } from '../bench/models.ts';
import { random } from '../reference/compare.ts';
import { testGpu } from '../support/gpu.ts';

/** The most dispatches per token, with and without log-probabilities. */
const MOST_DISPATCHES = 26;

/** The device without variants of a run's own, or with some that are asked for. */
function asking(gpu: Gpu, ...names: string[]): Gpu {
  return Object.create(gpu, { variants: { value: new Variants(names) } });
}

const promptsFor = (rows: number) => {
  const { ints } = random(rows);
  return Array.from({ length: rows }, (_, i) => [...ints(1 + (i % 5), embedded.vocab_size)]);
};

describe('folded-pass', () => {
  it('uses few dispatches per token, with an adapter, whatever the number of rows', async () => {
    const gpu = asking(await testGpu());
    const model = await adaptedModel(gpu);
    for (const rows of [1, 3, 20]) {
      const dispatches = async (maxNewTokens: number, returnLogprobs: boolean) => {
        const before = gpu.recorder.report.dispatches;
        await generate(model, promptsFor(rows), { maxNewTokens, eosTokenIds: [], returnLogprobs });
        return gpu.recorder.report.dispatches - before;
      };
      for (const returnLogprobs of [false, true]) {
        const each = ((await dispatches(6, returnLogprobs)) - (await dispatches(2, returnLogprobs))) / 4;
        expect(each, `${rows} rows`).to.be.within(5 * embedded.num_hidden_layers, MOST_DISPATCHES);
      }
    }
    model.dispose();
  });

  it('generates the same tokens as the layers, with their log-probabilities', async () => {
    const real = await testGpu();
    const [folded, layered] = [
      await adaptedModel(asking(real)),
      await adaptedModel(asking(real, 'register')),
    ];
    expect([folded, layered].map(FoldedPass.serves)).to.deep.equal([true, false]);
    const both = async (options: Partial<GenerationOptions>) => {
      const whole = { maxNewTokens: 12, eosTokenIds: [7], returnLogprobs: true, seed: 4, ...options };
      return [
        await generate(folded, promptsFor(9), whole),
        await generate(layered, promptsFor(9), whole),
      ] as const;
    };
    for (const options of [{ temperature: 0 }, { temperature: 0.8, topK: 40 }, { repetitionPenalty: 1.3 }]) {
      const [found, expected] = await both(options);
      expect(found.map(({ ids }) => ids)).to.deep.equal(expected.map(({ ids }) => ids));
      found.forEach(({ logprobs }, i) => {
        logprobs?.model.forEach((value, t) => {
          expect(value, `sequence ${i}, token ${t}`).to.be.closeTo(expected[i].logprobs!.model[t], 1e-4);
        });
      });
    }
    folded.dispose();
    layered.dispose();
  });

  it('is not used for models that are too large or not supported', async () => {
    const gpu = asking(await testGpu());
    const counting = gpu.countingCopy();
    const served = async (changes: JsonObject) => {
      const model = await CausalLM.load(counting, randomModel({ ...embedded, ...changes }, 'random'));
      return FoldedPass.serves(model);
    };
    expect(await served({})).to.equal(true);
    expect(await served({ num_hidden_layers: 200 })).to.equal(false);
    // Norms of queries and keys are applied between the product and the rotation.
    expect(await served({ model_type: 'qwen3' })).to.equal(false);
    // Half a head is not a whole number of vectors.
    expect(await served({ head_dim: 12 })).to.equal(false);
  });
});
