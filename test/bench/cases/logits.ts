/**
 * What is computed on logits (N, V) in memory: probabilities, log-sum-exp, KL, cross-entropy, and the loss of DPO with its
 * gradient. The widest ones are for a GPU with enough memory.
 */
import type { Gpu } from '../../../src/gpu/device.ts';
import { type DpoResult, dpo } from '../../../src/losses/logits.ts';
import { kl } from '../../../src/ops/kl.ts';
import { logSumExp } from '../../../src/ops/logsumexp.ts';
import { softmax } from '../../../src/ops/softmax.ts';
import { tokenLogprobs } from '../../../src/ops/token-logprob.ts';
import { Tape } from '../../../src/tensor/tape.ts';
import { Tensor } from '../../../src/tensor/tensor.ts';
import type { Case, Run, Work } from '../bench.ts';
import { numbers, tokens } from '../inputs.ts';
import { STEP } from '../jobs.ts';
import { forwardRun, randomTensor, readNumbers, runOn } from './run.ts';

/** (N, V), and whether `--quick` runs it. */
const SIZES: readonly (readonly [rows: number, cols: number, quick: boolean])[] = [
  [64, 512, true],
  [256, 4096, false],
  [512, 16_384, false],
  [1024, 49_152, false],
  [4096, 49_152, false],
];
/** Logits are spread like a model's. */
const SPREAD = 8;
/** Tokens of a completion. */
export const COMPLETION = 32;

const logits = (gpu: Gpu, seed: number, rows: number, cols: number) =>
  randomTensor(gpu, seed, [rows, cols], SPREAD);

/** An operation, and how often it reads or writes a matrix of logits. */
interface Passes {
  name: string;
  passes: number;
  make(gpu: Gpu, rows: number, cols: number): Run;
  job?: (rows: number, cols: number) => ReturnType<NonNullable<Case['job']>>;
}

const OPERATIONS: readonly Passes[] = [
  {
    name: 'softmax',
    passes: 2,
    make(gpu, rows, cols) {
      const x = logits(gpu, 1, rows, cols);
      return forwardRun(gpu, (tape) => softmax(tape, x), [x]);
    },
    job: (rows, cols) => ({ kind: 'softmax', rows, cols }),
  },
  {
    name: 'log-sum-exp',
    passes: 1,
    make(gpu, rows, cols) {
      const x = logits(gpu, 1, rows, cols);
      return forwardRun(gpu, (tape) => logSumExp(tape, x), [x]);
    },
  },
  {
    name: 'KL',
    passes: 2,
    make(gpu, rows, cols) {
      const [p, q] = [logits(gpu, 1, rows, cols), logits(gpu, 2, rows, cols)];
      return forwardRun(gpu, (tape) => kl(tape, p, q), [p, q]);
    },
  },
  {
    name: 'cross-entropy and gradient',
    passes: 3,
    make(gpu, rows, cols) {
      const x = logits(gpu, 1, rows, cols);
      const targets = Tensor.from(gpu, Uint32Array.from(tokens(2, rows, cols)), [rows], 'targets');
      const gradient = new Tensor(gpu.pool.allocate(x.size, 'd logits'), x.shape);
      const upstream = Tensor.from(gpu, new Float32Array(rows).fill(-1 / rows), [rows], 'upstream');
      x.requiresGrad = true;
      const start = () => {
        const tape = Tape.forTraining(gpu);
        gpu.recorder.clear(gradient);
        x.grad = gradient;
        tokenLogprobs(tape, x, targets).logprobs.grad = upstream;
        tape.backward();
      };
      return runOn(gpu, start, [x, targets, gradient, upstream], gradient);
    },
    job: (rows, cols) => ({ kind: 'crossEntropy', rows, cols }),
  },
  {
    name: 'DPO and gradient',
    // Both policies forward, and the policy once more for its gradient, which is written.
    passes: 4,
    // The gradient overwrites the policy's logits, which are uploaded again before every start.
    make(gpu, rows, cols) {
      const values = numbers(1, rows * cols, SPREAD);
      const policy = Tensor.reserve(gpu, [rows, cols], 'f32', 'policy');
      const reference = logits(gpu, 2, rows, cols);
      const targets = Uint32Array.from(tokens(3, rows, cols));
      const offsets = Uint32Array.from({ length: rows / COMPLETION + 1 }, (_, i) => i * COMPLETION);
      const inputs = { policy, reference, targets, offsets };
      let last: DpoResult | undefined;
      return {
        async renew() {
          gpu.recorder.write(policy, values);
          await gpu.finish();
        },
        start() {
          last?.dispose();
          last = dpo(gpu, inputs, { options: { beta: STEP.beta }, inPlace: true });
        },
        finish: () => last!.loss(),
        result: () => readNumbers(gpu, last!.gradient),
        dispose() {
          last?.dispose();
          for (const tensor of [policy, reference]) gpu.pool.release(tensor);
        },
      };
    },
    job: (rows, cols) => ({
      kind: 'dpoLogits',
      pairs: rows / 2 / COMPLETION,
      length: COMPLETION,
      cols,
      beta: STEP.beta,
    }),
  },
];

export const LOGITS: readonly Case[] = OPERATIONS.flatMap(({ name, passes, make, job }) =>
  SIZES.map(([rows, cols, quick]): Case => {
    const work: Work = { bytes: passes * 4 * rows * cols };
    return {
      id: `${name} ${rows} × ${cols}`,
      group: name,
      size: { rows, cols },
      work,
      quick,
      memory: 12 * 4 * rows * cols,
      make: async (gpu) => make(gpu, rows, cols),
      ...(job && { job: () => job(rows, cols) }),
    };
  }),
);
