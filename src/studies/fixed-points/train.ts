/**
 * Trains a table by a method from π_ref on.
 */
import type { Gpu } from 'webalign';
import type { Method } from './methods.ts';
import { distribution, type Problem } from './problem.ts';
import { Table } from './table.ts';

/**
 * Of Adam, whose other numbers are TRL's defaults. With their β2 of 0.999 the large gradients of the beginning divide the steps for a
 * thousand steps: after 400 the table still moves, in float64 too. With a small β2 steps stay large to the end, so they shrink over
 * the last `falling` of them.
 */
export const TRAINING = { steps: 400, learningRate: 0.05, adamBeta2: 0.9, falling: 100 } as const;

/** The logits that a method comes to rest at. */
export async function trainTable(
  gpu: Gpu,
  problem: Problem,
  { loss: lossOn, batch, adamBeta2 = TRAINING.adamBeta2 }: Method,
  visit?: (step: number, logits: Float32Array) => void,
): Promise<Float32Array> {
  const { steps, learningRate, falling } = TRAINING;
  const loss = lossOn(problem);
  const table = new Table(gpu, problem, problem.reference, { adamBeta2 });
  try {
    let logits = await table.logits();
    for (let step = 0; step < steps; step++) {
      const rate = learningRate * Math.min(1, (steps - step) / falling);
      logits = await table.step(loss, batch(problem, distribution(problem, logits)), rate);
      visit?.(step + 1, logits);
    }
    return logits;
  } finally {
    table.dispose();
  }
}
