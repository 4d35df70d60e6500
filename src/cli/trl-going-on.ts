/**
 * A folder with which TRL continues a run instead of repeating it: the adapters, the rows and learning rates of the remaining
 * steps, both moments of AdamW. Plain data in, files out; the same in a page and in Node.
 */
import { decodeCheckpoint } from '../io/checkpoint.ts';
import { InputError } from '../io/errors.ts';
import type { Files } from '../io/files.ts';
import { toFloat32Bytes } from '../io/float.ts';
import { type Adapter, type AdapterFiles, writeAdapter } from '../io/peft.ts';
import { type TensorToWrite, writeSafetensors } from '../io/safetensors.ts';
import { MODEL_GGUF, weightsFile } from '../io/weights.ts';
import { examplesOfStep, type Order, stepsPerEpoch } from '../train/order.ts';
import { learningRate, scheduleOf } from '../train/schedule.ts';
import { jsonl, scriptArguments, TRL_REQUIREMENTS, TRL_SCRIPT, utf8 } from './trl-parts.ts';
import { trainingScript } from './trl-script.ts';
import { TRL_TRAINERS } from './trl-trainers.ts';

const SETTINGS = 'settings.json';
/** Prefix of PEFT's names of weights. */
const PREFIX = 'base_model.model.';
/** Methods whose rows keep their order, because each row is compared with another one of its batch. */
const KEEP_ORDER: readonly string[] = ['kto'];

type ScheduleSettings = Pick<
  Parameters<typeof scheduleOf>[0],
  'lrSchedulerType' | 'learningRate' | 'numTrainEpochs' | 'warmupRatio'
>;

/** Rows under TRL's names, and the token ids of the run, which TRL's DPO uses instead. */
export interface TrlRows {
  rows: readonly object[];
  ids?: readonly object[];
}

export interface GoingOn {
  method: Exclude<keyof typeof TRL_TRAINERS, 'online-dpo'>;
  /** The model's folder. */
  source: Files;
  settings: ScheduleSettings & { perDeviceTrainBatchSize: number; seed: number };
  train: TrlRows;
  evaluation: TrlRows;
  /** The initial adapter; undefined for an adapter without effect. */
  start: AdapterFiles | undefined;
  /** The current adapter. */
  adapter: Adapter;
  /** Completed optimizer steps. */
  step: number;
  /** The trainer's checkpoint at that step. */
  checkpoint: Uint8Array<ArrayBuffer> | undefined;
}

/** The folder's files by path. Throws {@link InputError} for a model that TRL does not train. */
export async function goingOnFolder(run: GoingOn): Promise<Record<string, Uint8Array>> {
  const { method, source, train, evaluation, start, adapter } = run;
  await refuseGguf(source);
  const plan = planOf(run);
  const settings = {
    model: source.name,
    revision: source.revision ?? null,
    args: {
      ...scriptArguments(method, run.settings),
      max_steps: plan.batches.length,
      save_strategy: 'no',
      remove_unused_columns: false,
    },
  };
  const script = { hasAdapter: true, hasIds: train.ids !== undefined, settings: SETTINGS, goesOn: true };
  return {
    [TRL_SCRIPT]: utf8(trainingScript(method, TRL_TRAINERS[method], script)),
    'requirements.txt': utf8(TRL_REQUIREMENTS),
    [SETTINGS]: utf8(`${JSON.stringify(settings, null, 2)}\n`),
    'plan.json': utf8(`${JSON.stringify(plan)}\n`),
    ...dataFiles('train', train),
    ...(evaluation.rows.length > 0 ? dataFiles('eval', evaluation) : {}),
    ...below('start', start ?? writeAdapter(withoutEffect(adapter))),
    ...below('trained', writeAdapter(adapter)),
    ...(plan.step > 0 ? await momentsOf(run) : {}),
  };
}

/**
 * Rows and learning rates of the remaining steps, and the number of AdamW's steps. A finished run is repeated: as many steps, in
 * the order of the next epochs, with a new schedule and a new optimizer.
 */
export function planOf({
  method,
  settings,
  train,
  step: done,
}: Pick<GoingOn, 'method' | 'settings' | 'train' | 'step'>) {
  const order: Order = {
    examples: train.rows.length,
    stepSize: settings.perDeviceTrainBatchSize,
    seed: settings.seed,
    shuffle: !KEEP_ORDER.includes(method),
  };
  const schedule = scheduleOf({ ...settings, maxSteps: 0, warmupSteps: 0 }, stepsPerEpoch(order));
  const isOver = done >= schedule.totalSteps;
  const steps = Array.from({ length: schedule.totalSteps - (isOver ? 0 : done) }, (_, i) => done + i + 1);
  return {
    step: isOver ? 0 : done,
    batches: steps.map((step) => [...examplesOfStep(order, step)]),
    learning_rates: steps.map((step) => learningRate(schedule, isOver ? step - done : step)),
  };
}

const dataFiles = (name: string, { rows, ids }: TrlRows) => ({
  [`${name}.jsonl`]: jsonl(rows),
  ...(ids ? { [`${name}.ids.jsonl`]: jsonl(ids) } : {}),
});

/** Both moments of AdamW, under PEFT's names; no file if the checkpoint lacks one of them. */
async function momentsOf({ checkpoint, adapter }: GoingOn): Promise<Record<string, Uint8Array>> {
  if (!checkpoint) return {};
  const { tensors } = await decodeCheckpoint(checkpoint, 'the checkpoint');
  const written = new Map<string, TensorToWrite>();
  for (const [module, { in: width, out, r }] of adapter.weights)
    for (const [half, shape] of Object.entries({ A: [r, width], B: [out, r] }))
      for (const [slab, name] of Object.entries({ firstMoments: 'first', secondMoments: 'second' })) {
        const values = tensors.get(`${slab}/${module}.lora_${half}`);
        if (!values) return {};
        const data = toFloat32Bytes(values);
        written.set(`${name}/${PREFIX}${module}.lora_${half}.weight`, { dtype: 'F32', shape, data });
      }
  return { 'moments.safetensors': writeSafetensors(written, { format: 'pt' }) };
}

/** An adapter of these shapes without effect, like a new one. */
function withoutEffect(adapter: Adapter): Adapter {
  const weights = [...adapter.weights].map(
    ([module, pair]) => [module, { ...pair, b: new Float32Array(pair.b.length) }] as const,
  );
  return { ...adapter, weights: new Map(weights) };
}

const below = (folder: string, files: Readonly<Record<string, Uint8Array>>) =>
  Object.fromEntries(Object.entries(files).map(([path, bytes]) => [`${folder}/${path}`, bytes]));

async function refuseGguf(source: Files): Promise<void> {
  if ((await weightsFile(source)) !== MODEL_GGUF) return;
  const wayOut = 'Train on the Hugging Face folder of the model, or export the adapter';
  throw new InputError(source.name, 'is a GGUF file, and TRL does not train GGUF', wayOut);
}
