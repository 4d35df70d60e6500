/**
 * Generation with a cache compared with a full pass of the model for every token, and what a caller is promised: the same
 * tokens for any batch size, an end where the model ends, a stop on request, and all memory released.
 */
import { expect } from 'chai';
import { InputError } from '../../src/io/errors.ts';
import { memoryFiles } from '../../src/io/files.ts';
import { CausalLM } from '../../src/model/causal-lm.ts';
import {
  addUpdate,
  emptyGenerations,
  type Generation,
  generate,
  sampledTokens,
  streamGeneration,
} from '../../src/model/generation.ts';
import type { GenerationOptions } from '../../src/model/generation-options.ts';
import told from '../fixtures/stories260K-greedy.json' with { type: 'json' };
import { random } from '../reference/compare.ts';
import { tinyLlama, tinyLlamaAdapter, tinyLlamaTied } from '../reference/fixtures.ts';
import { sharedFile } from '../support/files.ts';
import { testGpu } from '../support/gpu.ts';
import { greedy, loadFixture, productAdapter, oddPrompts as prompts } from './tiny.ts';

const VOCABULARY = tinyLlama.config.vocabSize;
const ids = (generations: readonly Generation[]) => generations.map((generation) => generation.ids);

async function refusal(model: CausalLM, from: number[][], options: GenerationOptions): Promise<string> {
  try {
    await generate(model, from, options);
  } catch (error) {
    expect(error).to.be.instanceOf(InputError);
    return (error as InputError).message;
  }
  throw new Error('it was not refused');
}

describe('generation', () => {
  for (const [name, fixture] of Object.entries({ tinyLlama, tinyLlamaTied })) {
    it(`${name}: greedy tokens are those of the model without a cache`, async () => {
      const gpu = await testGpu();
      const model = await loadFixture(gpu, fixture);
      const from = prompts(1, fixture.config.vocabSize);
      const options = { maxNewTokens: 12, temperature: 0, eosTokenIds: [] };
      expect(ids(await generate(model, from, options))).to.deep.equal(await greedy(gpu, model, from, 12));
      expect(await generate(model, from, { ...options, temperature: 1, doSample: false })).to.deep.equal(
        await generate(model, from, options),
      );
      model.dispose();
    });
  }

  it('adapters apply while they are on', async () => {
    const gpu = await testGpu();
    const model = await loadFixture(gpu);
    const options = { maxNewTokens: 8, temperature: 0, eosTokenIds: [] };
    const plain = await generate(model, prompts(), options);
    const adapter = model.attach(
      productAdapter(model, tinyLlamaAdapter.adapters, tinyLlama.reference.lora.alpha),
    );
    const adapted = await generate(model, prompts(), options);
    expect(ids(adapted)).to.deep.equal(await greedy(gpu, model, prompts(), 8));
    expect(adapted).to.not.deep.equal(plain);
    adapter.enabled = false;
    expect(await generate(model, prompts(), options)).to.deep.equal(plain);
    model.dispose();
  });

  describe('stories260K, the model of llama2.c', () => {
    async function stories(test: Mocha.Context): Promise<CausalLM> {
      const names = ['config.json', 'model.safetensors'];
      const files = await Promise.all(names.map((name) => sharedFile(`models/stories260K/${name}`)));
      if (files.some((file) => file === undefined)) test.skip();
      const contents = Object.fromEntries(names.map((name, i) => [name, files[i] as Uint8Array]));
      return CausalLM.load(await testGpu(), memoryFiles(contents, 'stories260K'));
    }

    it('greedy tokens are those of the model without a cache', async function () {
      const model = await stories(this);
      const from = [[1], [1, 403, 407, 261, 378], [1, 410]];
      const found = await generate(model, from, { maxNewTokens: 24, temperature: 0, eosTokenIds: [] });
      expect(ids(found)).to.deep.equal(await greedy(model.gpu, model, from, 24));
      model.dispose();
    });

    it('generates the same story as the original program, token for token', async function () {
      const model = await stories(this);
      const [start, ...rest] = told.ids as [number, ...number[]];
      const options = { maxNewTokens: rest.length, temperature: 0, eosTokenIds: [] };
      const [story] = await generate(model, [[start]], options);
      expect(story?.ids).to.deep.equal(rest);
      model.dispose();
    });
  });

  it('the same seed gives the same tokens whatever the batches', async () => {
    const gpu = await testGpu();
    const model = await loadFixture(gpu);
    const options = {
      maxNewTokens: 9,
      temperature: 0.9,
      topK: 40,
      topP: 0.95,
      seed: 5,
      numReturnSequences: 3,
    };
    const together = await generate(model, prompts(), options);
    expect(together).to.have.length(18);
    // A batch of 4 separates the copies of a prompt.
    for (const batchSize of [1, 4, 100]) {
      expect(await generate(model, prompts(), { ...options, batchSize })).to.deep.equal(together);
    }
    expect(await generate(model, prompts(), options)).to.deep.equal(together);
    const [a, b, c] = ids(together);
    expect(a).to.not.deep.equal(b);
    expect(b).to.not.deep.equal(c);
    const others = await Promise.all(
      [6, 5 + 2 ** 32].map((seed) => generate(model, prompts(), { ...options, seed })),
    );
    for (const other of others) expect(other).to.not.deep.equal(together);
    model.dispose();
  });

  it('ends at an end token, drops finished rows, and does not change the others', async () => {
    const gpu = await testGpu();
    const model = await loadFixture(gpu);
    const options = { maxNewTokens: 30, seed: 3, numReturnSequences: 2 };
    const whole = await generate(model, prompts(), { ...options, eosTokenIds: [] });
    for (const { finished, ids } of whole) {
      expect(finished).to.equal('length');
      expect(ids).to.have.length(30);
    }
    // A model this small samples nearly uniformly: the set of end tokens is large enough that sequences end at every step.
    const eosTokenIds = Array.from({ length: 8 }, (_, i) => i * 11);
    const ended = await generate(model, prompts(), { ...options, eosTokenIds });
    for (const [i, generation] of ended.entries()) {
      const { ids } = whole[i];
      const at = ids.findIndex((id) => eosTokenIds.includes(id));
      expect(generation).to.deep.equal(
        at < 0 ? whole[i] : { ids: ids.slice(0, at), finished: 'eos', endId: ids[at] },
      );
      expect(sampledTokens(generation)).to.deep.equal(at < 0 ? ids : ids.slice(0, at + 1));
    }
    // Texts end with different end tokens.
    expect(new Set(ended.map(({ endId }) => endId)).size).to.be.above(3);
    expect(ended.some(({ ids }) => ids.length > 12)).to.equal(true);
    model.dispose();
  });

  it('stops early when every sequence has ended', async () => {
    const gpu = await testGpu();
    const model = await loadFixture(gpu);
    const all = Array.from({ length: VOCABULARY }, (_, i) => i);
    const before = gpu.recorder.report.dispatches;
    const found = await generate(model, prompts(), { maxNewTokens: 30, eosTokenIds: all });
    for (const { ids, finished, endId } of found) {
      expect([ids, finished]).to.deep.equal([[], 'eos']);
      expect(endId).to.be.within(0, VOCABULARY - 1);
    }
    const short = gpu.recorder.report.dispatches - before;
    await generate(model, prompts(), { maxNewTokens: 30, eosTokenIds: [] });
    expect(short).to.be.below((gpu.recorder.report.dispatches - before - short) / 2);
    model.dispose();
  });

  it("ends at the configuration's end token by default", async () => {
    const gpu = await testGpu();
    const model = await loadFixture(gpu);
    const options = { maxNewTokens: 25, seed: 8, numReturnSequences: 10 };
    const [given, byDefault] = [
      await generate(model, prompts(), { ...options, eosTokenIds: model.config.eosTokenIds }),
      await generate(model, prompts(), options),
    ];
    expect(byDefault).to.deep.equal(given);
    expect(model.config.eosTokenIds).to.deep.equal([2]);
    expect(byDefault.some(({ finished }) => finished === 'eos')).to.equal(true);
    for (const { ids, finished, endId } of byDefault) {
      expect(ids).to.not.include(2);
      expect(endId).to.equal(finished === 'eos' ? 2 : undefined);
    }
    model.dispose();
  });

  it('streams the same tokens in pieces', async () => {
    const gpu = await testGpu();
    const model = await loadFixture(gpu);
    const options = { maxNewTokens: 10, seed: 2, eosTokenIds: [5, 50, 70], returnLogprobs: true };
    const whole = await generate(model, prompts(), options);
    for (const every of [1, 3, 100]) {
      const pieces = emptyGenerations(whole.length);
      const ends = whole.map(() => 0);
      let updates = 0;
      for await (const news of streamGeneration(model, prompts(), { ...options, every })) {
        updates++;
        for (const update of news) {
          addUpdate(pieces[update.sequence], update);
          if (update.finished) ends[update.sequence]++;
        }
      }
      expect(pieces).to.deep.equal(whole);
      expect(ends).to.deep.equal(whole.map(() => 1));
      expect(updates).to.equal(Math.ceil(10 / every));
    }
    model.dispose();
  });

  it('frees its memory: at the end, when stopped, when a stream is left, after an error', async () => {
    const gpu = await testGpu();
    const model = await loadFixture(gpu);
    const options = { maxNewTokens: 20, eosTokenIds: [] };
    const before = gpu.memory().live;
    await generate(model, prompts(), options);
    expect(gpu.memory().live).to.equal(before);

    for await (const _ of streamGeneration(model, prompts(), { ...options, every: 2 })) break;
    expect(gpu.memory().live).to.equal(before);

    const controller = new AbortController();
    let caught: unknown;
    try {
      for await (const _ of streamGeneration(model, prompts(), { ...options, signal: controller.signal })) {
        controller.abort();
      }
    } catch (error) {
      caught = error;
    }
    expect(caught).to.equal(controller.signal.reason);
    expect(gpu.memory().live).to.equal(before);

    const stopped = await generate(model, prompts(), {
      ...options,
      signal: AbortSignal.abort('enough'),
    }).catch((reason) => reason);
    expect(stopped).to.equal('enough');
    expect(gpu.memory().live).to.equal(before);
    model.dispose();
  });

  it('names the sequence with NaN logits', async () => {
    const gpu = await testGpu();
    const model = await loadFixture(gpu);
    const before = gpu.memory().live;
    gpu.recorder.write(model.head, Float32Array.of(Number.NaN));
    expect(await refusal(model, prompts(), { maxNewTokens: 6 })).to.match(
      /^sequence 1, new token 1: the model's logits are not numbers/,
    );
    expect(gpu.memory().live).to.equal(before);
    model.dispose();
  });

  it('accepts prompts up to the last position', async () => {
    const gpu = await testGpu();
    const model = await loadFixture(gpu);
    const long = [...random(4).ints(60, VOCABULARY)];
    const options = { temperature: 0, eosTokenIds: [] };
    const [{ ids }] = await generate(model, [long], { ...options, maxNewTokens: 4 });
    expect([ids]).to.deep.equal(await greedy(gpu, model, [long], 4));
    expect(await generate(model, [long], { ...options, maxNewTokens: 1 })).to.deep.equal([
      { ids: ids.slice(0, 1), finished: 'length' },
    ]);
    expect(await generate(model, [], { ...options, maxNewTokens: 1 })).to.deep.equal([]);

    const message = await refusal(model, [[1], long], { maxNewTokens: 5 });
    expect(message).to.match(/^prompt 2: .*60 tokens.*5 new.*64 positions.*maxNewTokens to 4/);
    model.dispose();
  });

  it('refuses what it cannot do, by name', async () => {
    const gpu = await testGpu();
    const model = await loadFixture(gpu);
    const before = gpu.memory().live;
    const options = { maxNewTokens: 3 };
    expect(await refusal(model, [[1], []], options)).to.match(/^prompt 2: the prompt has no tokens/);
    expect(await refusal(model, [[1, VOCABULARY]], options)).to.match(
      /^prompt 1: token 97 is not one of the 97/,
    );
    expect(await refusal(model, [[1, -1]], options)).to.match(/^prompt 1: token -1/);
    const wrong: Partial<GenerationOptions>[] = [
      { maxNewTokens: 0 },
      { temperature: -1 },
      { temperature: Number.NaN },
      { topK: -1 },
      { topK: 1.5 },
      { topP: 0 },
      { topP: 1.1 },
      { minP: -0.1 },
      { minP: 1.1 },
      { repetitionPenalty: 0 },
      { repetitionPenalty: Number.POSITIVE_INFINITY },
      { eosTokenIds: [2, 1.5] },
      { seed: -1 },
      { numReturnSequences: 0 },
      { batchSize: 0 },
    ];
    for (const option of wrong) {
      const [name] = Object.keys(option);
      expect(await refusal(model, [[1]], { ...options, ...option })).to.contain(`generation option ${name}`);
    }
    expect(gpu.memory().live).to.equal(before);
    model.dispose();
  });
});
