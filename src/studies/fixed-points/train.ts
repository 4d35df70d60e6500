/**
 * Trains a table with a method, starting from π_ref.
 */
import type { Gpu } from 'webalign';
import type { Method } from './methods.ts';
import { distribution, type Problem } from './problem.ts';
import { Table } from './table.ts';

/**
 * Settings of Adam; the others are TRL's defaults. With its β2 of 0.999 the large initial gradients reduce the step size
 * for a thousand steps: after 400 steps the table still moves, even in float64. With a small β2 steps stay large to the
 * end, so the learning rate decreases over the last `falling` steps.
 */
export const TRAINING = { steps: 400, learningRate: 0.05, adamBeta2: 0.9, falling: 100 } as const;

/** The logits to which a method converges. */
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
