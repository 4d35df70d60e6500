/**
 * Trains a table by a method from π_ref on.
 */
import type { Gpu } from 'webalign';
import type { Method } from './methods.ts';
import { distribution, type Problem } from './problem.ts';
import { Table } from './table.ts';

/** Of Adam, whose other numbers are TRL's defaults. */
export const TRAINING = { steps: 400, learningRate: 0.05 } as const;

/** The logits that a method comes to rest at. */
export async function trainTable(
  gpu: Gpu,
  problem: Problem,
  { loss: lossOn, batch }: Method,
  visit?: (step: number, logits: Float32Array) => void,
): Promise<Float32Array> {
  const { steps, learningRate } = TRAINING;
  const loss = lossOn(problem);
  const table = new Table(gpu, problem, problem.reference);
  try {
    let logits = await table.logits();
    for (let step = 0; step < steps; step++) {
      logits = await table.step(loss, batch(problem, distribution(problem, logits)), learningRate);
      visit?.(step + 1, logits);
    }
    return logits;
  } finally {
    table.dispose();
  }
}
