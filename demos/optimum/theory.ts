/**
 * The page's calls of the theory module: the optimum of a problem, and the values of any number of policies. Everything
 * runs on the GPU, in batches with one row per policy.
 */
import { type Gpu, Tape, Tensor } from 'webalign/gpu';
import { kl } from 'webalign/logits';
import { objective, optimalPolicy } from 'webalign/theory';

export interface Setting {
  /** log π_ref. */
  reference: readonly number[];
  rewards: readonly number[];
  beta: number;
}

export interface Optimum {
  /** log π*. */
  logPolicy: number[];
  logPartition: number;
  /** β log Z. */
  optimum: number;
}

/** Numbers of R policies. */
export interface Worth {
  /** J(π). */
  value: Float32Array;
  reward: Float32Array;
  /** KL(π ‖ π_ref). */
  kl: Float32Array;
  /** KL(π ‖ π*). */
  gap: Float32Array;
}

export async function findOptimum(gpu: Gpu, { reference, rewards, beta }: Setting): Promise<Optimum> {
  const tensors = { reference: rows(gpu, reference, 1), rewards: rows(gpu, rewards, 1) };
  const tape = Tape.forInference(gpu);
  const found = optimalPolicy(tape, { ...tensors, beta });
  const [policy, partition, optimum] = await Promise.all(
    [found.logPolicy, found.logPartition, found.optimum].map((tensor) => tensor.toArray(gpu)),
  );
  release(gpu, tape, tensors);
  return { logPolicy: [...policy], logPartition: partition[0], optimum: optimum[0] };
}

/** `policies` (R, V) contains the concatenated log-probabilities of the policies. */
export async function appraise(
  gpu: Gpu,
  { reference, rewards, beta }: Setting,
  optimal: readonly number[],
  policies: Float32Array,
): Promise<Worth> {
  const answers = reference.length;
  const count = policies.length / answers;
  const tensors = {
    policy: Tensor.from(gpu, policies, [count, answers], 'policies'),
    reference: rows(gpu, reference, count),
    rewards: rows(gpu, rewards, count),
    optimal: rows(gpu, optimal, count),
  };
  const tape = Tape.forInference(gpu);
  const { policy } = tensors;
  const { value, reward, kl: divergence } = objective(tape, { ...tensors, policy, beta });
  const gap = kl(tape, policy, tensors.optimal);
  const [j, r, d, g] = await Promise.all([value, reward, divergence, gap].map((each) => each.toArray(gpu)));
  release(gpu, tape, tensors);
  return { value: j, reward: r, kl: d, gap: g };
}

/** KL(q ‖ target) and KL(target ‖ q) of R distributions `candidates` (R, V) to one target (V), all as logits. */
export async function bothDirections(
  gpu: Gpu,
  candidates: Tensor,
  target: readonly number[],
): Promise<{ reverse: Float32Array; forward: Float32Array }> {
  const tensors = { target: rows(gpu, target, candidates.rows) };
  const tape = Tape.forInference(gpu);
  const [reverse, forward] = await Promise.all(
    (['reverse', 'forward'] as const).map((way) => kl(tape, candidates, tensors.target, way).toArray(gpu)),
  );
  release(gpu, tape, tensors);
  return { reverse: reverse, forward: forward };
}

/** The same row, `count` times. */
function rows(gpu: Gpu, row: readonly number[], count: number): Tensor {
  const data = new Float32Array(count * row.length);
  for (let n = 0; n < count; n++) data.set(row, n * row.length);
  return Tensor.from(gpu, data, [count, row.length], 'row');
}

function release(gpu: Gpu, tape: Tape, tensors: Readonly<Record<string, Tensor>>): void {
  tape.dispose();
  for (const tensor of Object.values(tensors)) gpu.pool.release(tensor);
}
