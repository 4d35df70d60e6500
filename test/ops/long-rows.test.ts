/**
 * Operations over rows of 200,000 and a million numbers against float64, values and gradients, on a device that ends loops at
 * our limit (`src/gpu/loops.ts`), which is half of llvmpipe's.
 */
import { expect } from 'chai';
import type { Gpu } from '../../src/gpu/device.ts';
import { kernels } from '../../src/gpu/kernel.ts';
import { LOOP_LIMIT, threadsOfRow } from '../../src/gpu/loops.ts';
import { entropy } from '../../src/ops/entropy.ts';
import { expectation } from '../../src/ops/expectation.ts';
import { kl } from '../../src/ops/kl.ts';
import { logSumExp } from '../../src/ops/logsumexp.ts';
import { sample } from '../../src/ops/sample.ts';
import { logSoftmax, softmax } from '../../src/ops/softmax.ts';
import { tokenLogprobs } from '../../src/ops/token-logprob.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { optimalPolicy } from '../../src/theory/optimal-policy.ts';
import type { Matrix } from '../reference/arrays.ts';
import { expectClose, random } from '../reference/compare.ts';
import * as divergences from '../reference/kl.ts';
import { argmax, samplingProbabilities, uniformNumber } from '../reference/sampling.ts';
import * as softmaxes from '../reference/softmax.ts';
import * as theory from '../reference/theory.ts';
import * as targets from '../reference/token-logprob.ts';
import { gpuEndingLoops } from '../support/ending-loops.ts';
import { draw, expectValues, run, tolerances, train, truth, upload } from '../support/head-logprob.ts';
import { placesOf } from '../support/places.ts';
import { checkRowOp, type RowOp, type RowOpTolerance } from '../support/row-op.ts';
import { shaderOf } from '../support/shader.ts';
import { onDevice, randomCases } from '../theory/cases.ts';

// Not multiples of the number of teams.
const LONG: readonly Matrix[] = [
  { rows: 2, cols: 200_003 },
  { rows: 1, cols: 1_000_001 },
];

/** The tolerances of the operations' own tests, for sums of five times as many numbers. */
const TOLERANCE: RowOpTolerance = {
  value: { absolute: 6e-6, relative: 1e-5 },
  gradient: { absolute: 1e-5, relative: 3e-5 },
};

type Make = (logits: Float32Array, shape: Matrix, seed: number) => RowOp;

const OPERATIONS: Readonly<Record<string, Make>> = {
  softmax(logits, shape) {
    const p = softmaxes.softmax(logits, shape);
    return { run: softmax, value: () => p, gradient: (dy) => softmaxes.softmaxBackward(dy, p, shape) };
  },
  'log-softmax': (logits, shape) => ({
    run: logSoftmax,
    value: () => softmaxes.logSoftmax(logits, shape),
    gradient: (dy) => softmaxes.logSoftmaxBackward(dy, logits, shape),
  }),
  'log-sum-exp': (logits, shape) => ({
    run: logSumExp,
    value: () => softmaxes.logSumExp(logits, shape),
    gradient: (dy) => softmaxes.softmax(logits, shape).map((p, i) => p * dy[Math.floor(i / shape.cols)]),
  }),
  entropy: (logits, shape) => ({
    run: entropy,
    value: () => softmaxes.entropy(logits, shape),
    gradient: (dy) => softmaxes.entropyBackward(dy, logits, shape),
  }),
  expectation(logits, shape, seed) {
    const values = Float32Array.from(random(seed).normals(logits.length, 3));
    return {
      run: (tape, z, gpu) => expectation(tape, z, tensorOf(gpu, values, shape)),
      value: () => theory.expectation(logits, values, shape),
      gradient: (dy) => theory.expectationBackward(dy, logits, values, shape),
    };
  },
  'KL, reverse': (logits, shape, seed) => divergence('reverse', logits, shape, seed),
  'KL, forward': (logits, shape, seed) => divergence('forward', logits, shape, seed),
  'log-probabilities of targets': (logits, shape, seed) => ofTargets(logits, shape, seed, false),
  'log-probabilities of targets, in place': (logits, shape, seed) => ofTargets(logits, shape, seed, true),
};

function divergence(
  direction: 'reverse' | 'forward',
  logits: Float32Array,
  shape: Matrix,
  seed: number,
): RowOp {
  const { normal } = random(seed);
  const other = logits.map((z) => z + normal());
  const expected = { reverse: divergences.reverseKl, forward: divergences.forwardKl }[direction](
    logits,
    other,
    shape,
  );
  return {
    run: (tape, z, gpu) => kl(tape, z, tensorOf(gpu, other, shape), direction),
    value: () => expected.kl,
    gradient: (dy) => expected.dpolicy.map((d, i) => d * dy[Math.floor(i / shape.cols)]),
  };
}

function ofTargets(logits: Float32Array, shape: Matrix, seed: number, inPlace: boolean): RowOp {
  const tokens = random(seed).ints(shape.rows, shape.cols);
  return {
    run: (tape, z, gpu) =>
      tokenLogprobs(tape, z, Tensor.from(gpu, tokens, [shape.rows], 'targets'), { inPlace }).logprobs,
    value: () => targets.tokenLogprob(logits, tokens, shape).logprob,
    gradient: (dy) => targets.tokenLogprobBackward(dy, logits, tokens, shape),
  };
}

function tensorOf(gpu: Gpu, values: Float32Array, { rows, cols }: Matrix): Tensor {
  return Tensor.from(gpu, values, [rows, cols]);
}

describe('long rows', () => {
  let ending: Gpu;

  before(async () => {
    ending = await gpuEndingLoops(LOOP_LIMIT);
  });

  after(() => ending.dispose());

  it('run on a device that ends loops', async () => {
    const counter = shaderOf(`
@group(0) @binding(0) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(1)
fn count() {
  for (var i = 0u; i < y[0]; i++) {
    for (var j = 0u; j < 2u; j++) {
      y[1]++;
    }
  }
}`);
    const { count } = kernels(counter, { count: { groups: () => 1 } });
    const y = Tensor.from(ending, Uint32Array.of(200_000, 0), [2]);
    count(ending, { y });
    // Each round of the outer loop counts four: its own one, two of the inner loop, and the check that leaves the inner
    // loop.
    expect(new Uint32Array(await ending.read(y))[1]).to.equal(LOOP_LIMIT / 2);
  });

  it('are wrong if kernels exceed the limit', async () => {
    const careless: Gpu = Object.create(ending, {
      rowThreads: { value: 4 },
      loopLimit: { value: 2 ** 31 },
    });
    const tape = Tape.forInference(careless);
    const y = softmax(tape, Tensor.from(careless, new Float32Array(200_000), [1, 200_000]));
    expect([...(await y.toArray(careless)).slice(-4)]).to.not.deep.equal(
      new Array(4).fill(Math.fround(1 / 200_000)),
    );
  });

  for (const [name, make] of Object.entries(OPERATIONS)) {
    for (const threads of [4, 64]) {
      it(`${name}, ${threads} threads a short row`, async () => {
        const gpu: Gpu = Object.create(ending, { rowThreads: { value: threads } });
        // For the longest rows the number of threads is the same on both kinds of device.
        const shapes = threads === 4 ? LONG : LONG.slice(0, 1);
        await checkRowOp(gpu, 'ordinary', threads, TOLERANCE, make, shapes);
        await checkRowOp(gpu, 'masked', threads, TOLERANCE, make, LONG.slice(0, 1));
      });
    }
  }

  for (const shape of LONG) {
    it(`the optimal policy over ${shape.cols} answers`, async () => {
      // Prompt 0 has masks.
      const cases = randomCases(7, { ...shape, rows: 3 });
      const tape = Tape.forInference(ending);
      const { logPolicy, optimum } = optimalPolicy(tape, onDevice(ending, cases));
      const truth = theory.optimalPolicy(cases.reference, cases.rewards, cases.beta, cases.shape);
      expectClose(await logPolicy.toArray(ending), truth.logPolicy, { absolute: 2e-5, relative: 1e-6 });
      const best = await optimum.toArray(ending);
      // Rewards are up to 10⁴ β.
      for (const [n, value] of best.entries())
        expect(Math.abs(value - truth.optimum[n])).to.be.below(1e-5 * 1e4 * cases.beta[n]);
      tape.dispose();
    });
  }

  for (const threads of [4, 64]) {
    it(`tokens drawn from a vocabulary of 262,144, ${threads} threads a short row`, async () => {
      const gpu: Gpu = Object.create(ending, { rowThreads: { value: threads } });
      const vocabulary = 262_144;
      const rows = 2;
      // Many logits are equal, so that the search for a limit takes all rounds.
      const logits = Float32Array.from(random(3).normals(rows * vocabulary, 2), (z) => Math.round(4 * z) / 4);
      const live = {
        places: placesOf(gpu, new Array(rows).fill({})),
        tokens: Tensor.from(gpu, new Uint32Array(rows), [1, rows]),
        eos: Tensor.from(gpu, Uint32Array.of(0xffffffff), [1]),
      };
      const given = Tensor.from(gpu, logits, [rows, vocabulary]);
      for (const setting of [
        { temperature: 0, topK: 0, topP: 1 },
        { temperature: 1, topK: 100, topP: 1 },
        { temperature: 1, topK: 0, topP: 0.5 },
        { temperature: 0.7, topK: 5000, topP: 0.9 },
      ]) {
        sample(gpu, given, live, { ...setting, minP: 0, seed: 5 }, { step: 0 });
        const found = new Uint32Array(await gpu.read(live.tokens));
        for (const [row, token] of found.entries()) {
          const z = logits.subarray(row * vocabulary, (row + 1) * vocabulary);
          if (setting.temperature === 0) expect(token).to.equal(argmax(z));
          else {
            const p = samplingProbabilities(z, setting);
            expect(p[token], `${JSON.stringify(setting)}, token ${token}`).to.be.above(0);
            const below = p.subarray(0, token).reduce((a, b) => a + b, 0);
            expect(uniformNumber(5, row, 0)).to.be.within(below - 1e-4, below + p[token] + 1e-4);
          }
        }
      }
    });

    // The second value makes all tokens likely.
    for (const filterEps of [0, 1e-30]) {
      it(`the fused head of a vocabulary of 200,000, eps ${filterEps}, ${threads} threads a short row`, async () => {
        const gpu: Gpu = Object.create(ending, { rowThreads: { value: threads } });
        const shape = { rows: 2, width: 8, vocabulary: 200_000 };
        const data = draw(2, shape);
        const expected = truth(data, shape);
        const tolerance = tolerances(data, shape);
        for (const trained of filterEps > 0 ? [false] : [false, true]) {
          const inputs = upload(gpu, data, shape);
          inputs.hidden.requiresGrad = true;
          if (trained) train(gpu, inputs.head, new Float32Array(data.head.length));
          const result = await run(gpu, inputs, data.upstream, { filterEps });
          expectValues(result, expected.values, tolerance.value);
          // A sequential sum over all tokens, twice as long as in the head's own tests.
          const { l2 } = tolerance.gradient;
          expectClose(result.dhidden, expected.slopes.dhidden, { l2: 2 * l2!, label: 'd hidden' });
        }
      });
    }
  }

  it('are refused if the largest workgroup would exceed the limit', () => {
    expect(threadsOfRow({ rowThreads: 4, loopLimit: LOOP_LIMIT }, 8192)).to.equal(4);
    expect(threadsOfRow({ rowThreads: 4, loopLimit: LOOP_LIMIT }, 8193 * 4)).to.equal(8);
    expect(threadsOfRow({ rowThreads: 64, loopLimit: LOOP_LIMIT }, 500_000)).to.equal(64);
    expect(() => threadsOfRow({ rowThreads: 64, loopLimit: LOOP_LIMIT }, 3_000_000)).to.throw(
      RangeError,
      'a row of 3000000 numbers is too long for a workgroup, which takes at most 2097152. Cut it into shorter rows.',
    );
  });
});
