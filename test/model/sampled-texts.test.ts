/**
 * Samples compared with all possible texts: how often each text of a small model is drawn, which token ended it, and the
 * log-probabilities that come with the tokens, compared with float64 and with the kernels of training.
 */
import { expect } from 'chai';
import { type Generation, generate, sampledTokens } from '../../src/model/generation.ts';
import type { GenerationOptions } from '../../src/model/generation-options.ts';
import { sequenceLogprobs } from '../../src/train/measures/sequence-logprobs.ts';
import { random } from '../reference/compare.ts';
import { decoderLogits } from '../reference/decoder.ts';
import { generation as fixture, tinyLlama, tinyLlamaAdapter } from '../reference/fixtures.ts';
import { penalized, samplingProbabilities } from '../reference/sampling.ts';
import { logSoftmax } from '../reference/softmax.ts';
import { belowChiSquareBound, chiSquare } from '../support/chi-square.ts';
import { COARSE_PASS, isCoarse } from '../support/coarse.ts';
import { testGpu } from '../support/gpu.ts';
import { allTexts, fiveTokens, LONGEST, PROMPT } from './five-tokens.ts';
import { loadFixture, packSequences, productAdapter } from './tiny.ts';

const DRAWS = 20_000;
/** Log-probabilities of two sums of the same terms in float32. Half-precision products are off by a share of the logits. */
const CLOSE = 1e-4 + 4 * COARSE_PASS;

const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
const logprobsOf = ({ logprobs }: Generation) => logprobs!;

/** For each sampled token its values in float64: under the distribution that it was drawn from, and under the model. */
function exactLogprobs(
  prompt: readonly number[],
  generation: Generation,
  { repetitionPenalty = 1, temperature = 1, topK = 0, topP = 1, minP = 0 }: Partial<GenerationOptions>,
  adapters = tinyLlamaAdapter.adapters,
): { sampling: number[]; model: number[] } {
  const tokens = sampledTokens(generation);
  const whole = [...prompt, ...tokens.slice(0, -1)];
  const logits = decoderLogits(
    { ...tinyLlama, adapters },
    packSequences([{ prompt: whole, completion: [] }]),
  );
  const cols = tinyLlama.config.vocabSize;
  const result: { sampling: number[]; model: number[] } = { sampling: [], model: [] };
  tokens.forEach((token, i) => {
    const at = prompt.length + i - 1;
    const row = logits.subarray(at * cols, (at + 1) * cols);
    const scores = penalized(row, whole.slice(0, at + 1), repetitionPenalty);
    const probabilities = samplingProbabilities(scores, { temperature, topK, topP, minP });
    result.sampling.push(Math.log(probabilities[token]));
    result.model.push(logSoftmax(row, { rows: 1, cols })[token]);
  });
  return result;
}

describe('sampled texts', () => {
  for (const [ends, count] of [
    [[0], 85],
    [[0, 1], 53],
  ] as const) {
    it(`${DRAWS} draws of ${count} texts that end with ${ends.join(' or ')} have the right frequencies`, async () => {
      const { model, exact } = await fiveTokens(await testGpu(), ends);
      const texts = allTexts(exact, ends);
      expect(texts).to.have.length(count);
      expect(sum(texts.map(({ logprob }) => Math.exp(logprob)))).to.be.closeTo(1, 1e-12);
      const options = {
        maxNewTokens: LONGEST,
        numReturnSequences: DRAWS,
        seed: 21,
        batchSize: 1024,
        returnLogprobs: true,
      };
      const drawn = await generate(model, [PROMPT], options);
      const places = new Map(texts.map(({ tokens }, i) => [tokens.join(), i]));
      const counts = texts.map(() => 0);
      for (const generation of drawn) {
        const place = places.get(sampledTokens(generation).join())!;
        counts[place]++;
        const { tokens, logprob } = texts[place];
        expect(ends.includes(tokens.at(-1) as never)).to.equal(generation.finished === 'eos');
        const { sampling, model: own } = logprobsOf(generation);
        expect(own).to.have.length(tokens.length);
        expect(sum(own)).to.be.closeTo(logprob, CLOSE);
        expect(sum(sampling)).to.be.closeTo(logprob, CLOSE);
      }
      if (!isCoarse) {
        belowChiSquareBound(
          chiSquare(
            counts,
            texts.map(({ logprob }) => Math.exp(logprob)),
          ),
        );
      }
      model.dispose();
    });
  }

  it('have the log-probabilities of the training kernels', async () => {
    const model = await loadFixture(await testGpu());
    model.attach(productAdapter(model, tinyLlamaAdapter.adapters, tinyLlama.reference.lora.alpha));
    const { ints } = random(3);
    const prompts = [1, 5, 18, 30].map((length) => [...ints(length, 97)]);
    const options = { maxNewTokens: 30, numReturnSequences: 6, seed: 4, eosTokenIds: [2, 11, 40] };
    const drawn = await generate(model, prompts, { ...options, returnLogprobs: true });
    expect(drawn.some(({ endId }) => endId !== undefined)).to.equal(true);
    const scored = await sequenceLogprobs(
      model,
      drawn.map((generation, i) => ({
        prompt: prompts[Math.floor(i / 6)],
        completion: sampledTokens(generation),
      })),
    );
    drawn.forEach((generation, i) => {
      const { sampling, model: own } = logprobsOf(generation);
      expect(own).to.have.length(scored[i].length);
      own.forEach((value, t) => {
        expect(value, `sequence ${i}, token ${t}`).to.be.closeTo(scored[i]?.[t], CLOSE);
        expect(value).to.be.closeTo(sampling[t], 1e-5);
      });
    });
    // They are returned on request, and change nothing else.
    const plain = await generate(model, prompts, options);
    expect(drawn.map(({ logprobs: _, ...generation }) => generation)).to.deep.equal(plain);
    model.dispose();
  });

  for (const setting of [
    { temperature: 0.7 },
    { temperature: 1.6, topK: 12 },
    { topP: 0.6 },
    { temperature: 1.2, minP: 0.1 },
    { repetitionPenalty: 1.5 },
    { temperature: 1.4, topK: 30, topP: 0.8, minP: 0.05, repetitionPenalty: 1.3 },
    { temperature: 0.9, topK: 5, repetitionPenalty: 0.7 },
  ]) {
    it(`have the log-probabilities of the sampling distribution: ${JSON.stringify(setting)}`, async () => {
      const model = await loadFixture(await testGpu());
      model.attach(productAdapter(model, tinyLlamaAdapter.adapters, tinyLlama.reference.lora.alpha));
      const { ints } = random(9);
      const prompts = [2, 1, 14].map((length) => [...ints(length, 97)]);
      const options = { maxNewTokens: 12, numReturnSequences: 3, seed: 6, eosTokenIds: [2, 11, 40] };
      const drawn = await generate(model, prompts, { ...options, ...setting, returnLogprobs: true });
      drawn.forEach((generation, i) => {
        const exact = exactLogprobs(prompts[Math.floor(i / 3)], generation, setting);
        const { sampling, model: own } = logprobsOf(generation);
        const label = `sequence ${i}`;
        expect(sampling, label).to.have.length(exact.sampling.length);
        // With half-precision products, tokens near the limit of what is kept may be on either side of it.
        sampling.forEach((value, t) => {
          expect(own[t], label).to.be.closeTo(exact.model[t], CLOSE);
          if (!isCoarse) expect(value, label).to.be.closeTo(exact.sampling[t], 1e-4);
        });
      });
      expect(await generate(model, prompts, { ...options, ...setting })).to.deep.equal(
        drawn.map(({ logprobs: _, ...generation }) => generation),
      );
      model.dispose();
    });
  }

  it('consist of the most likely tokens without sampling', async () => {
    const model = await loadFixture(await testGpu());
    const options = { maxNewTokens: 6, temperature: 0, eosTokenIds: [], returnLogprobs: true };
    const [drawn] = await generate(model, [[5, 9, 40]], options);
    expect(drawn?.logprobs?.sampling).to.deep.equal([0, 0, 0, 0, 0, 0]);
    const exact = exactLogprobs([5, 9, 40], drawn, {}, new Map());
    drawn?.logprobs?.model.forEach((value, t) => {
      expect(value).to.be.closeTo(exact.model[t], CLOSE);
    });
    model.dispose();
  });

  it("equal transformers' with a repetition penalty, including the prompt's tokens", async () => {
    const model = await loadFixture(await testGpu());
    for (const { prompt, repetitionPenalty, ids, margin } of fixture.greedy) {
      // A choice this close may change with products in half precision.
      if (isCoarse && margin < 0.05) continue;
      const options = { maxNewTokens: ids.length, temperature: 0, eosTokenIds: [], repetitionPenalty };
      const [found] = await generate(model, [prompt], options);
      expect(found?.ids, `${prompt.length} tokens, penalty ${repetitionPenalty}`).to.deep.equal(ids);
    }
    model.dispose();
  });
});
