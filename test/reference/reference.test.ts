/**
 * The references compared with themselves: every backward pass with central differences of its forward pass, with random
 * upstream gradients and odd shapes. Their conventions are tested in conventions.test.ts, and the comparison with PyTorch
 * is in fixtures.test.ts.
 */
import { expect } from 'chai';
import { packPairs } from '../../src/data/packing.ts';
import { dot, type Reals } from './arrays.ts';
import { type AttentionShape, attention, attentionBackward } from './attention.ts';
import { expectClose, random } from './compare.ts';
import { type DecoderModel, decoder } from './decoder.ts';
import { finiteDifferences } from './finite-difference.ts';
import { tinyLlama, tinyLlamaAdapter, tinyLlamaTied } from './fixtures.ts';
import { swiglu, swigluBackward } from './gated-unit.ts';
import { gather, gatherBackward } from './gather.ts';
import { forwardKl, reverseKl } from './kl.ts';
import {
  linear,
  linearBackwardInput,
  linearBackwardWeight,
  loraLinear,
  loraLinearBackward,
} from './linear.ts';
import { dpo } from './losses.ts';
import { rmsNorm, rmsNormBackward } from './rms-norm.ts';
import { rope, ropeBackward, ropeFrequencies } from './rope.ts';
import * as logits from './softmax.ts';
import * as token from './token-logprob.ts';

/** Compares `gradient` with differences of f at x. */
function expectGradient(f: (x: Float64Array) => number, x: Float64Array, gradient: Reals, samples?: number) {
  const slopes = finiteDifferences(f, x, { samples });
  const expected = slopes.map(({ value }) => value);
  const actual = slopes.map(({ index }) => gradient[index]);
  expectClose(actual, expected, { absolute: 2e-8, relative: 1e-6 });
}

describe('reference: gradients by central differences', function () {
  this.timeout(60_000);

  it('linear and LoRA', () => {
    const { normals } = random(1);
    const shape = { rows: 6, inFeatures: 5, outFeatures: 7 };
    const [x, weight, dy] = [normals(30), normals(35), normals(42)];
    expectGradient((v) => dot(dy, linear(v, weight, shape)), x, linearBackwardInput(dy, weight, shape));
    expectGradient((v) => dot(dy, linear(x, v, shape)), weight, linearBackwardWeight(dy, x, shape));

    const adapter = { a: normals(15), b: normals(21), rank: 3, scale: 0.7 };
    const { narrow } = loraLinear(x, weight, adapter, shape);
    const { dx, da, db } = loraLinearBackward(dy, x, narrow, weight, adapter, shape);
    expectGradient((v) => dot(dy, loraLinear(v, weight, adapter, shape).y), x, dx);
    expectGradient((v) => dot(dy, loraLinear(x, weight, { ...adapter, a: v }, shape).y), adapter.a, da);
    expectGradient((v) => dot(dy, loraLinear(x, weight, { ...adapter, b: v }, shape).y), adapter.b, db);
  });

  it('RMS norm', () => {
    const { normals } = random(2);
    const shape = { rows: 6, cols: 7, eps: 1e-2 };
    const [x, weight, dy] = [normals(42), normals(7), normals(42)];
    const { dx, dweight } = rmsNormBackward(dy, x, weight, rmsNorm(x, weight, shape).rstd, shape);
    expectGradient((v) => dot(dy, rmsNorm(v, weight, shape).y), x, dx);
    expectGradient((v) => dot(dy, rmsNorm(x, v, shape).y), weight, dweight);
  });

  it('rotary positions, which also keep every length', () => {
    const { normals } = random(3);
    const shape = { rows: 5, heads: 3, headDim: 6, frequencies: ropeFrequencies(6, 100) };
    const positions = [0, 1, 2, 40, 3];
    const [x, dy] = [normals(90), normals(90)];
    expectGradient((v) => dot(dy, rope(v, positions, shape)), x, ropeBackward(dy, positions, shape));
    expectClose(ropeBackward(rope(x, positions, shape), positions, shape), x, { absolute: 1e-14 });
    expectClose(rope(x, positions, shape).subarray(0, 18), x.subarray(0, 18), {});
  });

  it('SwiGLU', () => {
    const { normals } = random(4);
    const [gate, up, dy] = [normals(42, 3), normals(42), normals(42)];
    const { dgate, dup } = swigluBackward(dy, gate, up);
    expectGradient((v) => dot(dy, swiglu(v, up)), gate, dgate);
    expectGradient((v) => dot(dy, swiglu(gate, v)), up, dup);
  });

  it('gather, with a row read twice and one never', () => {
    const { normals } = random(5);
    const ids = [3, 0, 3, 1];
    const [table, dy] = [normals(5 * 3), normals(4 * 3)];
    expectGradient((v) => dot(dy, gather(v, ids, 3)), table, gatherBackward(dy, ids, 5, 3));
  });

  it('attention over packed pairs, with grouped heads', () => {
    const { normals } = random(6);
    const { ids, spans } = packPairs([
      { prompt: [1, 2, 3], chosen: [4, 5, 6, 7], rejected: [8] },
      { prompt: [1], chosen: [2, 3], rejected: [4, 5, 6] },
    ]);
    const shape: AttentionShape = { tokens: ids.length, heads: 4, kvHeads: 2, headDim: 3 };
    const [q, k, v, dout] = [
      normals(ids.length * 12),
      normals(ids.length * 6),
      normals(ids.length * 6),
      normals(ids.length * 12),
    ];
    const { dq, dk, dv } = attentionBackward(dout, q, k, v, attention(q, k, v, spans, shape), spans, shape);
    expectGradient((x) => dot(dout, attention(x, k, v, spans, shape).out), q, dq);
    expectGradient((x) => dot(dout, attention(q, x, v, spans, shape).out), k, dk);
    expectGradient((x) => dot(dout, attention(q, k, x, spans, shape).out), v, dv);
  });

  it('log-softmax, softmax and entropy, with masked entries', () => {
    const shape = { rows: 4, cols: 7 };
    const { normals } = random(7);
    const [x, dy, dh] = [normals(28, 2), normals(28), normals(4)];
    const masked = (values: Reals) =>
      Float64Array.from(values, (value, i) => (i % 5 === 3 ? -Infinity : value));
    const finite = (values: Reals) => Float64Array.from(values, (value) => (value > -Infinity ? value : 0));
    const p = logits.softmax(masked(x), shape);
    expectGradient((v) => dot(dy, logits.softmax(masked(v), shape)), x, logits.softmaxBackward(dy, p, shape));
    expectGradient(
      (v) => dot(dy, finite(logits.logSoftmax(masked(v), shape))),
      x,
      logits.logSoftmaxBackward(dy, masked(x), shape),
    );
    expectGradient(
      (v) => dot(dh, logits.entropy(masked(v), shape)),
      x,
      logits.entropyBackward(dh, masked(x), shape),
    );
  });

  it('both KL directions', () => {
    const shape = { rows: 3, cols: 9 };
    const { normals } = random(8);
    const [policy, reference] = [normals(27, 2), normals(27, 2)];
    for (const divergence of [reverseKl, forwardKl]) {
      const { dpolicy } = divergence(policy, reference, shape);
      expectGradient(
        (v) => divergence(v, reference, shape).kl.reduce((sum, kl) => sum + kl),
        policy,
        dpolicy,
      );
    }
  });

  it('token log-probabilities from logits, and from hidden states with rows taken twice', () => {
    const { normals } = random(9);
    const [x, dlogprob] = [normals(4 * 6, 2), normals(4)];
    const targets = [5, 0, 3, 3];
    const shape = { rows: 4, cols: 6 };
    const dlogits = token.tokenLogprobBackward(dlogprob, x, targets, shape);
    expectGradient((v) => dot(dlogprob, token.tokenLogprob(v, targets, shape).logprob), x, dlogits);

    const head = { tokens: 5, width: 3, vocabulary: 6 };
    const rows = [4, 1, 1, 0];
    const [hidden, weight] = [normals(15), normals(18)];
    const { dhidden, dweight } = token.headLogprobBackward(dlogprob, hidden, weight, rows, targets, head);
    const logprob = (h: Reals, w: Reals) => token.headLogprob(h, w, rows, targets, head).logprob;
    expectGradient((v) => dot(dlogprob, logprob(v, weight)), hidden, dhidden);
    expectGradient((v) => dot(dlogprob, logprob(hidden, v)), weight, dweight);
    const { meanLogit } = token.headLogprob(hidden, weight, rows, targets, head);
    expectClose(token.meanLogitFromHidden(hidden, weight, rows, head), meanLogit, { absolute: 1e-14 });
  });

  it('DPO, with and without label smoothing', () => {
    const { normals } = random(10);
    for (const labelSmoothing of [0, 0.1]) {
      const [policyChosen, policyRejected] = [normals(6, 20), normals(6, 20)];
      const reference = { referenceChosen: normals(6, 20), referenceRejected: normals(6, 20) };
      const total = (chosen: Reals, rejected: Reals) =>
        dpo({ policyChosen: chosen, policyRejected: rejected, ...reference }, { beta: 0.3, labelSmoothing })
          .loss * 6;
      const sums = { policyChosen, policyRejected, ...reference };
      const { dchosen, drejected } = dpo(sums, { beta: 0.3, labelSmoothing });
      expectGradient((v) => total(v, policyRejected), policyChosen, dchosen);
      expectGradient((v) => total(policyChosen, v), policyRejected, drejected);
    }
  });

  for (const [name, model] of Object.entries({
    'tiny-llama with LoRA': { ...tinyLlama, adapters: tinyLlamaAdapter.adapters },
    'tiny-llama-tied': tinyLlamaTied,
  } satisfies Record<string, DecoderModel>)) {
    it(`the whole decoder: ${name}`, () => {
      const { normals, ints } = random(11);
      const ids = (count: number) => [...ints(count, 61)];
      const batch = packPairs([
        { prompt: ids(3), chosen: ids(4), rejected: ids(2) },
        { prompt: ids(1), chosen: ids(1), rejected: ids(3) },
      ]);
      const upstream = normals(batch.targets.length);
      const weights = new Map([...model.weights].map(([key, value]) => [key, Float64Array.from(value)]));
      const { adapters } = model as DecoderModel;
      const value = (changed: Partial<DecoderModel>) =>
        dot(upstream, decoder({ config: model.config, weights, adapters, ...changed }, batch).logprob);
      const gradients = decoder({ config: model.config, weights, adapters }, batch).backward(upstream);

      expect([...gradients.weights.keys()]).to.have.members([...weights.keys()]);
      for (const [key, gradient] of gradients.weights) {
        expectGradient(() => value({}), weights.get(key) ?? new Float64Array(), gradient, 3);
      }
      expect([...gradients.adapters.keys()]).to.have.members([...(adapters?.keys() ?? [])]);
      for (const [key, { a, b }] of gradients.adapters) {
        const adapter = adapters?.get(key);
        if (!adapter) throw new Error(key);
        const withAdapter = (part: object) =>
          value({ adapters: new Map([...(adapters ?? []), [key, { ...adapter, ...part }]]) });
        expectGradient((x) => withAdapter({ a: x }), Float64Array.from(adapter.a), a, 2);
        expectGradient((x) => withAdapter({ b: x }), Float64Array.from(adapter.b), b, 2);
      }
    });
  }
});
