/**
 * The results of every method: J where its table converges, and the predicted J. Stored results are not recomputed.
 */
import type { Gpu } from 'webalign';
import { adapterName } from '../../cli/open.ts';
import type { Terminal } from '../../cli/terminal.ts';
import { Kept } from '../shared/kept-results.ts';
import { METHODS, type Method } from './methods.ts';
import { BANDIT, objectiveOf, type Problem, TREE } from './problem.ts';
import { TRAINING, trainTable } from './train.ts';

/** The problems, by their names in results. */
export const PROBLEMS = { tree: TREE, bandit: BANDIT } as const satisfies Readonly<Record<string, Problem>>;
export type ProblemName = keyof typeof PROBLEMS;
const NAMES = Object.keys(PROBLEMS) as ProblemName[];

export interface Figures {
  /** J of the trained table. */
  objective: number;
  /** The predicted J. */
  predicted: number;
}

export type MethodResult = { adapter: string } & Record<ProblemName, Figures>;

export interface Collected {
  method: Method;
  kept: Kept<MethodResult>;
}

/** Increased when the measurements change. */
const VERSION = 1;
/** Precision of float32 sums. */
const DIGITS = 6;

/** The stored results of all methods. */
export function keptFigures(out: string): Promise<Collected[]> {
  const about = (method: Method) => {
    const { terms, about: unit, divergence } = method.loss(TREE);
    const losses = terms.map(({ loss, options, weight }) => [loss.name, options, weight]);
    const own = method.adamBeta2 === undefined ? [] : [method.adamBeta2];
    return [VERSION, TRAINING, PROBLEMS, method.id, losses, unit, divergence, ...own];
  };
  return Promise.all(
    METHODS.map(async (method) => ({
      method,
      kept: await Kept.of<MethodResult>(out, method.id, about(method)),
    })),
  );
}

/** All results if all are stored, without a device. */
export async function readFigures(
  collected: readonly Collected[],
): Promise<{ method: Method; result: MethodResult }[] | undefined> {
  const all = await Promise.all(
    collected.map(async ({ method, kept }) => ({ method, result: await kept.read() })),
  );
  const found = all.flatMap(({ method, result }) => (result ? [{ method, result }] : []));
  return found.length === all.length ? found : undefined;
}

/** Trains and stores missing results. */
export async function collectFigures(
  gpu: Gpu,
  collected: readonly Collected[],
  terminal: Terminal,
  signal: AbortSignal,
): Promise<{ method: Method; result: MethodResult }[]> {
  const results = [];
  for (const { method, kept } of collected) {
    let result = await kept.read();
    if (!result) {
      const figures: [ProblemName, Figures][] = [];
      for (const name of NAMES) figures.push([name, await measure(gpu, name, method, terminal, signal)]);
      result = {
        adapter: adapterName(gpu.adapter),
        ...(Object.fromEntries(figures) as Record<ProblemName, Figures>),
      };
      await kept.write(result);
    }
    results.push({ method, result });
  }
  return results;
}

async function measure(
  gpu: Gpu,
  name: ProblemName,
  method: Method,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<Figures> {
  const problem = PROBLEMS[name];
  const label = `${method.name}, ${name}`;
  const logits = await trainTable(gpu, problem, method, (step) => {
    signal.throwIfAborted();
    if (step % 10 === 0) terminal.progress(label, step, TRAINING.steps, 'steps');
  });
  const rounded = (value: number) => Number(value.toFixed(DIGITS));
  return {
    objective: rounded(objectiveOf(problem, logits)),
    predicted: rounded(method.predicted.objective(problem)),
  };
}
