/**
 * The inverse of Theorem 1, policy → reward, compared with float64; and both round trips: a reward is recovered from its
 * policy up to rounding, a policy from its reward.
 */
import { expect } from 'chai';
import { kl } from '../../src/ops/kl.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { implicitReward } from '../../src/theory/implicit-reward.ts';
import { optimalPolicy } from '../../src/theory/optimal-policy.ts';
import type { Matrix } from '../reference/arrays.ts';
import { expectClose } from '../reference/compare.ts';
import { logSoftmax } from '../reference/softmax.ts';
import * as reference from '../reference/theory.ts';
import { testGpu } from '../support/gpu.ts';
import { onDevice, oneCase, randomCases, SHAPES } from './cases.ts';

/**
 * Rewards of a row relative to their natural scale: the largest of |f|, β |log π|, β |log π_ref| in the row. The
 * log-probabilities whose difference is the reward are rounded relative to their own size, even if they cancel.
 */
function shares(f: ArrayLike<number>, scale: Float64Array, { cols }: Matrix): Float64Array {
  return Float64Array.from(f, (each, at) => each / scale[Math.floor(at / cols)]);
}

function rowScales(shape: Matrix, beta: Float32Array, ...logs: (readonly [ArrayLike<number>, boolean])[]) {
  const scale = new Float64Array(shape.rows).fill(1e-30);
  for (const [values, isLog] of logs) {
    for (let at = 0; at < values.length; at++) {
      const row = Math.floor(at / shape.cols);
      const size = Math.abs(values[at]) * (isLog ? beta[row] : 1);
      if (Number.isFinite(size)) scale[row] = Math.max(scale[row], size);
    }
  }
  return scale;
}

describe('the implicit reward', () => {
  for (const [index, shape] of SHAPES.entries()) {
    const title = `${shape.rows} prompts of ${shape.cols} answers`;

    it(`equals that of float64, and its optimal policy is the policy, ${title}`, async () => {
      const gpu = await testGpu();
      const cases = randomCases(index + 21, shape);
      const given = onDevice(gpu, cases);
      const tape = Tape.forInference(gpu);
      const f = implicitReward(tape, given);
      const back = optimalPolicy(tape, { ...given, rewards: f });
      const distance = kl(tape, given.policy, back.logPolicy);
      const [rewards, policy, optimum, away] = await Promise.all(
        [f, back.logPolicy, back.optimum, distance].map((tensor) => tensor.toArray(gpu)),
      );
      const none = new Float64Array(shape.rows);
      const truth = reference.implicitReward(cases.policy, cases.reference, cases.beta, none, shape);
      const logPolicy = logSoftmax(cases.policy, shape);
      const logReference = logSoftmax(cases.reference, shape);
      const scale = rowScales(shape, cases.beta, [logPolicy, true], [logReference, true]);
      expectClose(shares(rewards, scale, shape), shares(truth, scale, shape), {
        absolute: 1e-6,
        label: 'f',
      });
      expectClose(policy, logPolicy, { absolute: 2e-6, relative: 1e-5, label: 'log π' });
      // Z = 1.
      expectClose(
        optimum.map((each, n) => each / scale[n]),
        none,
        { absolute: 1e-6 },
      );
      expectClose(away, none, { absolute: 1e-8 });
      tape.dispose();
      for (const tensor of Object.values(given)) gpu.pool.release(tensor);
    });

    it(`of the optimal policy is the reward, ${title}`, async () => {
      const gpu = await testGpu();
      const cases = randomCases(index + 31, shape);
      const given = onDevice(gpu, cases);
      const tape = Tape.forInference(gpu);
      const { logPolicy, optimum } = optimalPolicy(tape, given);
      const f = implicitReward(tape, { ...given, policy: logPolicy, optimum });
      const [rewards, policy] = await Promise.all([f, logPolicy].map((tensor) => tensor.toArray(gpu)));
      // Outside the support nothing is known about a reward.
      const expected = cases.rewards.map((r, at) => (cases.reference[at] === -Infinity ? -Infinity : r));
      const scale = rowScales(shape, cases.beta, [expected, false], [policy, true]);
      expectClose(shares(rewards, scale, shape), shares(expected, scale, shape), { absolute: 1e-5 });
      tape.dispose();
      for (const tensor of Object.values(given)) gpu.pool.release(tensor);
    });
  }

  it('is −∞ for answers that the policy excludes and +∞ for those that only the reference excludes', async () => {
    const gpu = await testGpu();
    const none = -Infinity;
    const given = onDevice(gpu, {
      ...oneCase([0, 0, none, none], [0, 0, 0, 0], [0, none, 0, none]),
      beta: Float32Array.of(1),
    });
    const tape = Tape.forInference(gpu);
    const f = await implicitReward(tape, { ...given, beta: 2 }).toArray(gpu);
    expect([...f]).to.deep.equal([0, -Infinity, Infinity, -Infinity]);
    tape.dispose();
  });
});
