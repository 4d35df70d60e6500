/**
 * What the references promise in special cases: masks, ties, overflow, tokens of probability 0, shared prompts. The kernels
 * must do the same.
 */
import { expect } from 'chai';
import { packPairs, packSequences, sequencesOf } from '../../src/data/packing.ts';
import { logSigmoid, segmentSums, sigmoid } from './arrays.ts';
import { attendedKeys, spansDisagree } from './attention.ts';
import { expectClose, random } from './compare.ts';
import { decoder, decoderLogits } from './decoder.ts';
import { tinyLlama } from './fixtures.ts';
import { gather } from './gather.ts';
import { forwardKl, reverseKl } from './kl.ts';
import { dpo } from './losses.ts';
import { sampleToken, samplingProbabilities } from './sampling.ts';
import * as logits from './softmax.ts';
import * as token from './token-logprob.ts';

describe('reference: conventions', () => {
  it('a row of nothing but -infinity has lse -infinity, probability 0, entropy 0, gradient 0', () => {
    const shape = { rows: 2, cols: 3 };
    const x = [-Infinity, -Infinity, -Infinity, 1e4, -1e4, -Infinity];
    expect([...logits.logSumExp(x, shape)]).to.deep.equal([-Infinity, 1e4]);
    expect([...logits.softmax(x, shape)]).to.deep.equal([0, 0, 0, 1, 0, 0]);
    expect([...logits.logSoftmax(x, shape)]).to.deep.equal([
      -Infinity,
      -Infinity,
      -Infinity,
      0,
      -2e4,
      -Infinity,
    ]);
    expectClose(logits.entropy(x, shape), [0, 0], {});
    expectClose(logits.entropyBackward([1, 1], x, shape), [0, 0, 0, 0, 0, 0], {});
    expectClose(logits.logSoftmaxBackward([1, 2, 3, 4, 5, 6], x, shape), [0, 0, 0, -5, 5, 0], {});
    const { logprob, top1 } = token.tokenLogprob(x, [1, 2], shape);
    expect([...logprob]).to.deep.equal([-Infinity, -Infinity]);
    expect([...top1]).to.deep.equal([0, 0]);
    expectClose(token.tokenLogprobBackward([1, 1], x, [1, 2], shape), [0, 0, 0, 0, 0, 0], {});
  });

  it('KL is 0 between equals, +infinity if the other side has no mass, 0 for masked rows', () => {
    const shape = { rows: 3, cols: 2 };
    const policy = [0.3, -1, 0, 0, -Infinity, -Infinity];
    const reference = [1.3, 0, 0, -Infinity, 1, 2];
    expectClose(reverseKl(policy, reference, shape).kl, [0, Infinity, 0], { absolute: 1e-12 });
    expectClose(forwardKl(policy, reference, shape).kl, [0, Math.LN2, 0], { absolute: 1e-12 });
    expectClose(forwardKl(policy, reference, shape).dpolicy, [0, 0, -0.5, 0.5, 0, 0], { absolute: 1e-12 });
  });

  it('the first of tied logits is the top one', () => {
    const { top1 } = token.tokenLogprob([1, 2, 2, 1, 2, 2], [1, 2], { rows: 2, cols: 3 });
    expect([...top1]).to.deep.equal([1, 0]);
  });

  it('DPO at the reference is ln 2 with accuracy 0, and no |z| overflows', () => {
    const at = (policyChosen: number, labelSmoothing = 0) =>
      dpo(
        {
          policyChosen: [policyChosen],
          policyRejected: [-7],
          referenceChosen: [-5],
          referenceRejected: [-7],
        },
        { beta: 1, labelSmoothing },
      );
    expect(at(-5).loss).to.equal(Math.LN2);
    expect(at(-5).metrics['rewards/accuracies']).to.equal(0);
    expect(at(995).loss).to.equal(0);
    expect(at(-1005).loss).to.equal(1000);
    expect(at(-1005).dchosen[0]).to.equal(-1);
    expect(at(995, 0.25).loss).to.equal(250);
    expect([sigmoid(-1e4), sigmoid(1e4), logSigmoid(-1e4)]).to.deep.equal([0, 1, -1e4]);
  });

  it('a token with probability 0 is never sampled', () => {
    expectClose(samplingProbabilities([1, 5, -Infinity, 5], { topK: 1 }), [0, 0.5, 0, 0.5], {
      absolute: 1e-15,
    });
    expect([0, 0.499, 0.5, 0.9999999, 1].map((u) => sampleToken([0, 0.5, 0, 0.5], u))).to.deep.equal([
      1, 1, 3, 3, 3,
    ]);
    expect([...samplingProbabilities([1, 5, 2, 5], { temperature: 0 })]).to.deep.equal([0, 1, 0, 0]);
  });

  it('sharing a prompt only changes the amount of work', () => {
    const pairs = [
      { prompt: [5, 9, 11, 2], chosen: [7, 8, 9], rejected: [3] },
      { prompt: [4], chosen: [6], rejected: [12, 13, 14, 15] },
    ];
    const [shared, unshared] = [packPairs(pairs), packSequences(pairs.flatMap(sequencesOf))];
    expect(shared.ids.length).to.be.lessThan(unshared.ids.length);
    expect(spansDisagree(shared.spans)).to.equal(null);
    expect(spansDisagree(unshared.spans)).to.equal(null);
    expect(attendedKeys(shared.spans, 5)).to.deep.equal([0, 1, 2, 3, 4, 5]);
    const [a, b] = [decoder(tinyLlama, shared), decoder(tinyLlama, unshared)];
    expectClose(a.logprob, b.logprob, { absolute: 1e-12 });
    const upstream = random(12).normals(a.logprob.length);
    const [ga, gb] = [a.backward(upstream).weights, b.backward(upstream).weights];
    for (const [name, gradient] of ga) expectClose(gradient, gb.get(name) ?? [], { l2: 1e-12, label: name });

    const all = decoderLogits(tinyLlama, shared);
    const { logprob } = token.tokenLogprob(gather(all, shared.rows, 97), shared.targets, {
      rows: shared.rows.length,
      cols: 97,
    });
    expectClose(logprob, a.logprob, { absolute: 1e-12 });
    expectClose(segmentSums([1, 2, 3, 4], [0, 1, 1, 4]), [1, 0, 9], {});
  });
});
