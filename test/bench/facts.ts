/**
 * What is counted rather than timed: dispatches, bytes of a plan, and the compilation of a model's kernels. Most of it on a
 * device that only counts, so that the size of a model does not matter.
 */
import { Gpu } from '../../src/gpu/device.ts';
import { planGeneration } from '../../src/model/generation-plan.ts';
import { LORA_DEFAULTS } from '../../src/train/config.ts';
import { DPOTrainer } from '../../src/train/dpo-trainer.ts';
import { planMemory } from '../../src/train/memory-plan.ts';
import { countStep } from './cases/training.ts';
import { adaptedModel } from './cases/writing.ts';
import { randomPairs } from './jobs.ts';
import { largeData, largeDataInWorker } from './large-data.ts';
import { MODELS, plainLlama, randomModel } from './models.ts';

export interface Fact {
  id: string;
  quick: boolean;
  /** With these kernel variants, for every shape that they support. */
  measure(source: GPU, variants: readonly string[]): Promise<Record<string, number>>;
}

const PAIRS = [1, 2, 4, 8, 16];
const VOCABULARIES = [1000, 8192, 32_768, 151_936];
const WIDTH = 128;
const BATCH = { pairs: 2, prompt: 16, completion: 48 };

async function onDevice<T>(
  source: GPU,
  variants: readonly string[],
  task: (gpu: Gpu) => Promise<T>,
): Promise<T> {
  const gpu = await Gpu.request(source, { variants });
  try {
    return await task(gpu);
  } finally {
    gpu.dispose();
  }
}

/** Milliseconds to compile all kernels of a step with the default adapter in parallel, on a new device. */
function compiling(name: keyof typeof MODELS, quick: boolean): Fact {
  return {
    id: `compiling ${name}`,
    quick,
    measure: (source, variants) =>
      onDevice(source, variants, async (gpu) => {
        const pairs = randomPairs(BATCH, MODELS[name].vocab_size as number);
        const wanted = await countStep(gpu, MODELS[name], pairs, LORA_DEFAULTS.r);
        const begun = performance.now();
        await gpu.compile(wanted);
        const milliseconds = performance.now() - begun;
        const distinct = new Set(
          wanted.map(({ shader, entry, constants }) => JSON.stringify([shader.path, entry, constants])),
        );
        return { milliseconds, kernels: distinct.size, dispatches: wanted.length };
      }),
  };
}

/** One step on this number of pairs; in a page, in its worker. */
function data(pairs: number, quick: boolean): Fact {
  const measure: Fact['measure'] = (source, variants) =>
    typeof document === 'undefined'
      ? onDevice(source, variants, (gpu) => largeData(gpu, pairs))
      : largeDataInWorker({ pairs, variants });
  return { id: `data of ${pairs.toLocaleString('en')} pairs`, quick, measure };
}

export const FACTS: readonly Fact[] = [
  {
    id: 'dispatches by pairs',
    quick: true,
    measure: (source, variants) =>
      onDevice(source, variants, async (gpu) => {
        const counts: Record<string, number> = {};
        for (const pairs of PAIRS) {
          const batch = randomPairs({ ...BATCH, pairs }, MODELS.embedded.vocab_size);
          counts[pairs] = (await countStep(gpu, MODELS.embedded, batch, 8)).length;
        }
        return counts;
      }),
  },
  {
    id: 'planned bytes by vocabulary',
    quick: true,
    measure: (source, variants) =>
      onDevice(source, variants, async (gpu) => {
        const bytes: Record<string, number> = {};
        for (const vocabulary of VOCABULARIES) {
          const files = randomModel(plainLlama(vocabulary, WIDTH, 3 * WIDTH, 4, 4), 'random');
          const args = { perDeviceTrainBatchSize: BATCH.pairs, maxSteps: 2 };
          const trainDataset = randomPairs(BATCH, vocabulary);
          const plan = await planMemory(gpu, files, (model) => new DPOTrainer({ model, args, trainDataset }));
          bytes[vocabulary] = plan.plannedBytes - 4 * vocabulary * WIDTH;
        }
        return bytes;
      }),
  },
  {
    id: 'dispatches of a written token',
    quick: true,
    measure: (source, variants) =>
      onDevice(source, variants, async (gpu) => {
        const model = await adaptedModel(gpu.countingCopy());
        const dispatches: Record<string, number> = {};
        for (const rows of [1, 16, 64, 256]) {
          const lengths = new Array<number>(rows).fill(16);
          const [first, second] = [1, 2].map(
            (maxNewTokens) => planGeneration(model, lengths, { maxNewTokens }).pipelines.length,
          ) as [number, number];
          dispatches[rows] = second - first;
        }
        return dispatches;
      }),
  },
  data(2000, true),
  data(100_000, false),
  compiling('embedded', true),
  compiling('SmolLM2-135M', false),
];
