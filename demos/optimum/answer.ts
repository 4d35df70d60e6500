/**
 * The results for one setting: the optimum, the four paths to it, the landscape, and every policy's values. The paths are
 * computed here, the numbers by the theory module.
 */
import type { Gpu } from 'webalign';
import { GRID_LOG_POLICIES, type Point, Relief } from './geometry.ts';
import { descend, LOSSES, type Method } from './paths.ts';
import { appraise, findOptimum, type Optimum, type Setting } from './theory.ts';

export const METHODS = Object.keys(LOSSES) as Method[];

/** A policy with its numbers. */
export interface Policy {
  probabilities: number[];
  reward: number;
  /** KL(π ‖ π_ref). */
  kl: number;
  /** J(π). */
  value: number;
  /** β KL(π ‖ π*). */
  gap: number;
  /** Its position on the surface. */
  place: Point;
}

export interface Answer {
  setting: Setting;
  optimum: Optimum;
  relief: Relief;
  /** J over the grid. */
  values: Float32Array;
  reference: Policy;
  best: Policy;
  /** From the reference to the end of each method. */
  paths: Record<Method, Policy[]>;
}

export async function answer(gpu: Gpu, setting: Setting): Promise<Answer> {
  const optimum = await findOptimum(gpu, setting);
  const problem = { ...setting, optimal: optimum.logPolicy };
  const ways = METHODS.map((method) => ({ method, path: descend(method, problem) }));
  const listed = [setting.reference, optimum.logPolicy, ...ways.flatMap(({ path }) => path)];
  const policies = Float32Array.from([...GRID_LOG_POLICIES, ...listed.flat()]);
  const worth = await appraise(gpu, setting, optimum.logPolicy, policies);
  const grid = GRID_LOG_POLICIES.length / 3;
  const values = worth.value.subarray(0, grid);
  const relief = new Relief(Math.min(...values), optimum.optimum);
  const [reference, best, ...others] = listed.map((logPolicy, i): Policy => {
    const at = grid + i;
    const probabilities = logPolicy.map(Math.exp);
    const value = worth.value[at];
    return {
      probabilities,
      reward: worth.reward[at],
      kl: worth.kl[at],
      value,
      gap: setting.beta * worth.gap[at],
      place: relief.place(probabilities, value),
    };
  });
  const paths = ways.map(({ method, path }) => [method, others.splice(0, path.length)] as const);
  return {
    setting,
    optimum,
    relief,
    values,
    reference: reference,
    best: best,
    paths: Object.fromEntries(paths) as Record<Method, Policy[]>,
  };
}
