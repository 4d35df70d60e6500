/**
 * Objective (1) against float64 and against finite differences, and Theorem 1's identity J(π) = β log Z − β KL(π ‖ π*),
 * whose sides share no kernel but the divergence.
 */
import { expect } from 'chai';
import { kl } from '../../src/ops/kl.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { objective } from '../../src/theory/objective.ts';
import { optimalPolicy } from '../../src/theory/optimal-policy.ts';
import { expectClose } from '../reference/compare.ts';
import { finiteDifferences } from '../reference/finite-difference.ts';
import * as reference from '../reference/theory.ts';
import { testGpu } from '../support/gpu.ts';
import { onDevice, oneCase, randomCases, SHAPES } from './cases.ts';

/**
 * J is a difference of large terms and may itself be near 0: errors are compared with the sum of the terms' magnitudes,
 * E|r| + β KL, which is what float32 rounds.
 */
function scales(cases: ReturnType<typeof randomCases>): Float64Array {
  const magnitudes = cases.rewards.map(Math.abs);
  const size = reference.expectation(cases.policy, magnitudes, cases.shape);
  const { kl } = reference.objective(cases.policy, cases.reference, magnitudes, cases.beta, cases.shape);
  return size.map((each, n) => each + cases.beta[n] * kl[n]);
}

const ratio = (values: ArrayLike<number>, by: ArrayLike<number>) =>
  Float64Array.from(values, (value, n) => value / by[n]);

describe('objective (1)', () => {
  for (const [index, shape] of SHAPES.entries()) {
    const title = `${shape.rows} prompts of ${shape.cols} answers`;

    it(`has the value and the gradient of float64, ${title}`, async () => {
      const gpu = await testGpu();
      const cases = randomCases(index + 1, shape);
      const given = onDevice(gpu, cases);
      given.policy.requiresGrad = true;
      const [tape, keep] = [Tape.forTraining(gpu), Tape.forInference(gpu)];
      const result = objective(tape, given);
      result.value.grad = Tensor.from(gpu, new Float32Array(shape.rows).fill(1), [shape.rows], 'upstream');
      const late = [result.value, result.reward, result.kl].map((tensor) => gpu.recorder.read(tensor));
      tape.backward(given.policy, keep);
      const gradient = await (given.policy.grad as unknown as Tensor).toArray(gpu);
      const [value, reward, divergence] = (await Promise.all(late)).map(
        (bytes) => new Float32Array(bytes, 0, shape.rows),
      );

      const truth = reference.objective(cases.policy, cases.reference, cases.rewards, cases.beta, shape);
      const scale = scales(cases);
      const unit = { absolute: 1e-5 };
      expectClose(ratio(value, scale), ratio(truth.value, scale), { ...unit, label: 'J' });
      expectClose(ratio(reward, scale), ratio(truth.reward, scale), { ...unit, label: 'E[r]' });
      expectClose(divergence, truth.kl, { absolute: 1e-6, relative: 1e-5, label: 'KL' });
      // Errors as shares of a row's scale, as for J itself.
      const share = (values: ArrayLike<number>) =>
        Float64Array.from(values, (each, at) => each / scale[Math.floor(at / shape.cols)]);
      expectClose(share(gradient), share(truth.dpolicy), { ...unit, cols: shape.cols, label: 'gradient' });
      keep.dispose();
      for (const tensor of Object.values(given)) gpu.pool.release(tensor);
    });

    it(`is β log Z less β KL to the optimum, ${title}`, async () => {
      const gpu = await testGpu();
      const cases = randomCases(index + 11, shape);
      const given = onDevice(gpu, cases);
      const tape = Tape.forInference(gpu);
      const { value } = objective(tape, given);
      const { logPolicy, optimum } = optimalPolicy(tape, given);
      const gap = kl(tape, given.policy, logPolicy);
      const [j, best, away] = await Promise.all([value, optimum, gap].map((tensor) => tensor.toArray(gpu)));
      const other = best.map((each, n) => each - cases.beta[n] * away[n]);
      // Tolerances as above; both sides and the maximum itself may cancel.
      const scale = scales(cases).map((each, n) => each + Math.abs(best[n]));
      expectClose(ratio(j, scale), ratio(other, scale), { absolute: 1e-5 });
      tape.dispose();
      for (const tensor of Object.values(given)) gpu.pool.release(tensor);
    });
  }

  it('has a reference implementation with correct gradients', () => {
    const shape = { rows: 1, cols: 5 };
    const cases = randomCases(3, { rows: 2, cols: 5 });
    const [policy, other, rewards] = [cases.policy, cases.reference, cases.rewards].map((all) =>
      Float64Array.from(all.subarray(5)),
    );
    const beta = cases.beta.subarray(1);
    const at = (logits: Float64Array) => reference.objective(logits, other, rewards, beta, shape);
    const slopes = finiteDifferences((logits) => at(logits).value[0], policy);
    const gradient = at(policy).dpolicy;
    expectClose(
      slopes.map(({ value }) => value),
      slopes.map(({ index }) => gradient[index]),
      {
        absolute: 1e-7,
        relative: 1e-6,
      },
    );
  });

  it('is −∞ if the policy leaves the support of the reference, without a NaN gradient', async () => {
    const gpu = await testGpu();
    const given = onDevice(gpu, { ...oneCase([0, -Infinity], [1, 2], [0, 0]), beta: Float32Array.of(1) });
    given.policy.requiresGrad = true;
    const [tape, keep] = [Tape.forTraining(gpu), Tape.forInference(gpu)];
    const { value } = objective(tape, { ...given, beta: 0.5 });
    value.grad = Tensor.from(gpu, new Float32Array([1]), [1]);
    const late = gpu.recorder.read(value);
    tape.backward(given.policy, keep);
    const gradient = await (given.policy.grad as unknown as Tensor).toArray(gpu);
    expect(new Float32Array(await late)[0]).to.equal(-Infinity);
    expect([...gradient].every(Number.isFinite)).to.equal(true);
    keep.dispose();
  });

  it('rejects invalid shapes and β', async () => {
    const tape = Tape.forInference(await testGpu());
    const [a, b] = [tape.empty([2, 3], 'a'), tape.empty([2, 4], 'b')];
    const given = { policy: a, reference: a, rewards: a };
    expect(() => objective(tape, { ...given, rewards: b, beta: 1 })).to.throw(RangeError, 'differ in shape');
    expect(() => objective(tape, { ...given, beta: 0 })).to.throw(RangeError, 'beta is 0, but must be');
    expect(() => objective(tape, { ...given, beta: a })).to.throw(RangeError, 'one f32 for each of 2 rows');
    tape.dispose();
  });
});
