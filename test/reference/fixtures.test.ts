/**
 * The references compared with PyTorch, transformers, PEFT and TRL: the whole decoder with every gradient, the DPO loss,
 * the optimizer, sampling. These numbers were computed in float64 and rounded to float32 once, so they agree to 1e-7.
 */
import { expect } from 'chai';
import { packPairs, packSequences } from '../../src/data/packing.ts';
import { adamW, adamWState } from './adamw.ts';
import { segmentSums } from './arrays.ts';
import { expectClose } from './compare.ts';
import { type DecoderModel, decoder, decoderLogits } from './decoder.ts';
import {
  decodeArray,
  dpoLoss,
  generation,
  optimizer,
  sampling,
  tinyLlama,
  tinyLlamaAdapter,
  tinyLlamaTied,
} from './fixtures.ts';
import { clipGradients } from './grad-norm.ts';
import { dpo } from './losses.ts';
import { penalized, samplingProbabilities } from './sampling.ts';

const ROUNDED = 2e-7;

/** A sequence as a prompt of one token and a completion of the others. */
function wholeSequences(sequences: readonly number[][]) {
  return packSequences(sequences.map(([first, ...rest]) => ({ prompt: [first], completion: rest })));
}

describe('reference: decoder against PyTorch', function () {
  this.timeout(60_000);

  const models: Record<string, { model: DecoderModel; expected: typeof tinyLlama.reference.lora }> = {
    'tiny-llama': {
      model: tinyLlama,
      expected: { ...tinyLlama.reference.lora, ...tinyLlama.reference.base },
    },
    'tiny-llama with LoRA': {
      model: { ...tinyLlama, adapters: tinyLlamaAdapter.adapters },
      expected: tinyLlama.reference.lora,
    },
    'tiny-llama-tied': {
      model: tinyLlamaTied,
      expected: { ...tinyLlama.reference.lora, ...tinyLlamaTied.reference.base },
    },
  };

  for (const [name, { model, expected }] of Object.entries(models)) {
    it(`${name}: logits, token log-probabilities, loss`, () => {
      const { sequences } = model.config.tieWordEmbeddings ? tinyLlamaTied.reference : tinyLlama.reference;
      const { logprob } = decoder(model, wholeSequences(sequences));
      expectClose(logprob, expected.logprobs.flat(), { absolute: 1e-12 });
      expect(-logprob.reduce((sum, x) => sum + x) / logprob.length).to.be.closeTo(expected.loss, 1e-13);
      sequences.forEach((ids, s) => {
        const actual = decoderLogits(model, wholeSequences([[...ids, 0]]));
        expectClose(actual, decodeArray(expected.logits[s]), { l2: ROUNDED, cols: model.config.vocabSize });
      });
    });
  }

  for (const [name, { reference, ...model }] of Object.entries({ tinyLlama, tinyLlamaTied })) {
    it(`${name}: the gradient of the loss by every weight`, () => {
      const { logprob, backward } = decoder(model, wholeSequences(reference.sequences));
      const gradients = backward(logprob.map(() => -1 / logprob.length)).weights;
      const expected = Object.entries(reference.base.gradients);
      expect([...gradients.keys()]).to.have.members(expected.map(([key]) => key));
      for (const [key, array] of expected) {
        expectClose(gradients.get(key) ?? [], decodeArray(array), { l2: ROUNDED, label: key });
      }
    });
  }

  it('DPO with LoRA: loss, rewards and the gradient by every A and B', () => {
    const expected = tinyLlama.reference.dpo;
    const batch = packPairs(expected.pairs);
    const policy = decoder({ ...tinyLlama, adapters: tinyLlamaAdapter.adapters }, batch);
    const sums = pairSums(policy.logprob, decoder(tinyLlama, batch).logprob, batch.sequenceOffsets);
    const result = dpo(sums, expected);
    const perSequence = expected.pairs.flatMap((_, p) => [
      expected.policy.chosen[p],
      expected.policy.rejected[p],
    ]);
    expectClose(policy.logprob, perSequence.flat(), { absolute: 1e-12 });
    expectClose(result.losses, expected.losses, { absolute: 1e-12 });
    expectClose(result.chosenRewards, expected.rewards.chosen, { absolute: 1e-12 });
    expectClose(result.rejectedRewards, expected.rewards.rejected, { absolute: 1e-12 });

    const upstream = new Float64Array(batch.targets.length);
    for (let s = 0; s < 2 * expected.pairs.length; s++) {
      const slope = (s % 2 === 0 ? result.dchosen : result.drejected)[Math.floor(s / 2)];
      upstream.fill(slope / expected.pairs.length, batch.sequenceOffsets[s], batch.sequenceOffsets[s + 1]);
    }
    const gradients = policy.backward(upstream).adapters;
    for (const [name, array] of Object.entries(expected.gradients)) {
      const [module, half] = [
        name.replace(/\.lora_[AB]\.weight$/, ''),
        name.includes('lora_A') ? 'a' : 'b',
      ] as const;
      expectClose(gradients.get(module)?.[half] ?? [], decodeArray(array), { l2: ROUNDED, label: name });
    }
    expect(2 * gradients.size).to.equal(Object.keys(expected.gradients).length);
  });
});

/** Sums over the sequences of packed pairs: even ones are chosen, odd ones rejected. */
function pairSums(policy: Float64Array, reference: Float64Array, offsets: Uint32Array) {
  const [p, r] = [segmentSums(policy, offsets), segmentSums(reference, offsets)];
  return {
    policyChosen: p.filter((_, s) => s % 2 === 0),
    policyRejected: p.filter((_, s) => s % 2 === 1),
    referenceChosen: r.filter((_, s) => s % 2 === 0),
    referenceRejected: r.filter((_, s) => s % 2 === 1),
  };
}

describe('reference: small arithmetic against PyTorch, transformers and TRL', () => {
  it("DPO on TRL's 200 rows", () => {
    for (const row of dpoLoss.rows) {
      const [beta, policyChosen, policyRejected, referenceChosen, referenceRejected, ...expected] = row;
      const result = dpo(
        {
          policyChosen: [policyChosen],
          policyRejected: [policyRejected],
          referenceChosen: [referenceChosen],
          referenceRejected: [referenceRejected],
        },
        { beta },
      );
      const actual = [
        result.loss,
        result.metrics['rewards/chosen'],
        result.metrics['rewards/rejected'],
        result.metrics['rewards/margins'],
        result.metrics['rewards/accuracies'],
        result.dchosen[0],
        result.drejected[0],
      ];
      expectClose(actual, expected, {
        absolute: 1e-15,
        relative: 1e-12,
        label: `row ${dpoLoss.rows.indexOf(row)}`,
      });
    }
  });

  optimizer.adamw.forEach((run, index) => {
    it(`AdamW and clipping, run ${index}`, () => {
      let states = run.initial.map(adamWState);
      run.steps.forEach(({ gradients, norm, parameters }, k) => {
        const clipped = clipGradients(gradients, run.maxGradNorm);
        expect(clipped.norm).to.be.closeTo(norm, 1e-12 * Math.max(1, norm));
        const options = {
          step: k + 1,
          learningRate: run.learningRate,
          beta1: run.adamBeta1,
          beta2: run.adamBeta2,
          epsilon: run.adamEpsilon,
          weightDecay: run.weightDecay,
        };
        states = states.map((state, i) => adamW(state, clipped.gradients[i], options));
        states.forEach(({ parameter }, i) => {
          expectClose(parameter, parameters[i], { absolute: 1e-12, label: `step ${k + 1}` });
        });
      });
      states.forEach(({ m, v }, i) => {
        expectClose(m, run.finalState[i].m, { absolute: 1e-15, relative: 1e-12 });
        expectClose(v, run.finalState[i].v, { absolute: 1e-15, relative: 1e-12 });
      });
    });
  });

  for (const { name, logits, ids, settings } of generation.filtered) {
    it(`the distribution that generation draws from: ${name}`, () => {
      for (const { probabilities, repetitionPenalty, ...options } of settings) {
        const label = JSON.stringify({ repetitionPenalty, ...options });
        const scores = penalized(logits, ids, repetitionPenalty);
        expectClose(samplingProbabilities(scores, options), probabilities, { absolute: 1e-12, label });
      }
    });
  }

  for (const { name, logits, settings } of sampling.cases) {
    it(`sampling probabilities: ${name}`, () => {
      for (const { probabilities, ...options } of settings) {
        const row = logits.map((logit) => logit ?? -Infinity);
        const label = JSON.stringify(options);
        expectClose(samplingProbabilities(row, options), probabilities, { absolute: 1e-12, label });
      }
    });
  }
});
