/** What a model would need on this device, by precision, before any of its weights is read. */
import type { Files } from 'webalign/files';
import { formatBytes, type Gpu } from 'webalign/gpu';
import { describeModel, type LoadDtype, type ModelDescription, weightShapes } from 'webalign/models';
import { DPOTrainer, planMemory } from 'webalign/trainers';
import type { ModelPlan, PrecisionPlan } from './messages.ts';
import { defaultsFor, loraConfig } from './task.ts';

/** Precisions that are offered, the first as it is stored. */
const DTYPES: readonly LoadDtype[] = ['auto', 'float32', 'q8_0', 'q4_0'];
/** The run that is rehearsed: a batch of pairs, with so many tokens of prompt and of each draft. */
const PAIRS = 4;
const PROMPT = 96;
const DRAFT = 160;

/** Tokens of a prompt and of a draft that a run is planned for on a model of so many positions. */
export function tokensFor(positions: number): { prompt: number; draft: number } {
  const length = Math.min(positions, PROMPT + DRAFT);
  const prompt = Math.min(PROMPT, length >> 1);
  return { prompt, draft: length - prompt };
}

/** Numbers in a model's weights. */
export function parametersOf({ architecture, config }: ModelDescription): number {
  const sizes = [...weightShapes(architecture, config).values()].map((shape) =>
    shape.reduce((a, b) => a * b, 1),
  );
  return sizes.reduce((a, b) => a + b, 0);
}

/** Throws `InputError` for a model that cannot be read. */
export async function planModel(
  gpu: Gpu,
  files: Files,
  about: { name: string; fileBytes: number },
): Promise<ModelPlan> {
  const description = await describeModel(files);
  const { config } = description;
  const parameters = parametersOf(description);
  const positions = config.maxPositionEmbeddings;
  const tokens = tokensFor(positions);
  const precisions: PrecisionPlan[] = [];
  for (const dtype of DTYPES) precisions.push(await planPrecision(gpu, files, dtype, parameters, tokens));
  return { ...about, parameters, positions, tokens: tokens.prompt + tokens.draft, precisions };
}

async function planPrecision(
  gpu: Gpu,
  files: Files,
  dtype: LoadDtype,
  parameters: number,
  tokens: { prompt: number; draft: number },
): Promise<PrecisionPlan> {
  const settings = defaultsFor(PAIRS, parameters);
  const prompt = new Array<number>(tokens.prompt).fill(0);
  const pair = () => {
    const draft = (id: number) => new Array<number>(tokens.draft).fill(id);
    return { prompt, chosen: draft(0), rejected: draft(1) };
  };
  const trainDataset = Array.from({ length: PAIRS }, pair);
  const args = { perDeviceTrainBatchSize: PAIRS, maxSteps: 1 };
  const { parts, plannedBytes, largestBuffer, largestWeight } = await planMemory(
    gpu,
    files,
    (model) => new DPOTrainer({ model, trainDataset, args, peftConfig: loraConfig(settings) }),
    { dtype },
  );
  const largest = Math.max(largestBuffer.bytes, largestWeight?.bytes ?? 0);
  const { maxBufferSize } = gpu.limits;
  const problem =
    largest > maxBufferSize
      ? `needs a buffer of ${formatBytes(largest)}, and this device allows ${formatBytes(maxBufferSize)}. Take a smaller precision or a smaller model.`
      : '';
  return { dtype, weightBytes: parts.weights ?? 0, trainingBytes: plannedBytes, problem };
}
