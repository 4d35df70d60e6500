/**
 * Runs of any trainer on the fixture model, for the tests of this folder: to the end or stopped after a step, with their
 * events, log and adapter.
 */
import type { Gpu } from '../../src/gpu/device.ts';
import { writeAdapter } from '../../src/io/peft.ts';
import type { CausalLM } from '../../src/model/causal-lm.ts';
import type { TrainEvent } from '../../src/train/events.ts';
import type { Trainer } from '../../src/train/trainer.ts';
import { loadFixture } from '../model/tiny.ts';

export const LORA = { r: 4, loraAlpha: 8, targetModules: ['q_proj', 'v_proj', 'down_proj'] };

/** Trains what `start` creates; returns the events, the log and the adapter's bytes. */
export async function trained(
  gpu: Gpu,
  start: (model: CausalLM) => Trainer,
  stopAfter?: number,
  load: (gpu: Gpu) => Promise<CausalLM> = loadFixture,
) {
  const model = await load(gpu);
  const trainer = start(model);
  const stop = new AbortController();
  const events: TrainEvent[] = [];
  for await (const event of trainer.train({ signal: stop.signal })) {
    events.push(event);
    if (event.type === 'step' && event.step === stopAfter) stop.abort();
  }
  if (!trainer.adapter) throw new Error('no adapter');
  const files = writeAdapter(await trainer.adapter.toAdapter());
  const { logHistory: log, notices } = trainer;
  trainer.dispose();
  model.dispose();
  return { events, log, notices, bytes: files['adapter_model.safetensors'] };
}

/** The values of a metric in every step. */
export function eachStep(events: readonly TrainEvent[], metric: string): number[] {
  return events.flatMap((event) => (event.type === 'step' ? [event.metrics[metric]] : []));
}
