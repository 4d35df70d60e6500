/**
 * Stepwise alignment (SACPO, Wachi et al. 2024): first to one criterion, then to a second with the first result as the
 * reference, because π*_{r+λg} ∝ π*_r · exp((λ/β) g). Every stage is its own LoRA on top of those before, so that the
 * reference of a stage is the model with its adapter off, and the results of earlier stages never change. Scaling the
 * last adapter by q interpolates between the two results (P-SACPO).
 */
import { atOnce, inSlices, type Sliced, type SliceOptions } from '../base/slices.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import type { CheckpointStore } from '../io/checkpoint.ts';
import { combineAdapters } from '../io/combine-adapters.ts';
import { InputError, listed, quote } from '../io/errors.ts';
import type { LoraArgs } from '../io/lora-settings.ts';
import type { Adapter } from '../io/peft.ts';
import type { ReferenceCache } from '../io/reference-cache.ts';
import type { CausalLM } from '../model/causal-lm.ts';
import type { LoraAdapter } from '../model/lora.ts';
import { type CompletionConfig, DPO_DEFAULTS, type DPOArgs, type KTOArgs } from './config.ts';
import type { LabelledDataset, PairDataset } from './datasets.ts';
import { DPOTrainer, dpoTask } from './dpo-trainer.ts';
import type { TrainEvent } from './events.ts';
import { KTOTrainer, ktoTask } from './kto-trainer.ts';
import { checkFreshAdapter } from './roles.ts';
import type { Trainer } from './trainer.ts';
import type { Task, TrainerOptions } from './training-task.ts';

type StageOptions = TrainerOptions & { args: object; trainDataset: unknown };
type StageTask = Task<CompletionConfig>;

/** A trainer, and the function that makes its task from the options. */
interface StageMethod {
  Trainer: new (options: StageOptions, task: StageTask) => Trainer;
  taskOf(options: StageOptions): Sliced<StageTask>;
}

/** The methods of a stage: those with a reference. */
const METHODS = {
  dpo: { Trainer: DPOTrainer, taskOf: dpoTask } as unknown as StageMethod,
  kto: { Trainer: KTOTrainer, taskOf: ktoTask } as unknown as StageMethod,
} as const;
export const STAGE_METHODS = Object.keys(METHODS) as readonly (keyof typeof METHODS)[];

export interface SACPOStage {
  /** The criterion of the stage: `reward`, `safety`. */
  name: string;
  method: 'dpo' | 'kto';
  /** Settings of its trainer. `beta` is that of objective (1), before λ. */
  args?: DPOArgs | KTOArgs;
  /** Weight of the stage's criterion relative to the first one's: it trains with β/λ. Default: 1. */
  lambda?: number;
  trainDataset: PairDataset | LabelledDataset;
  evalDataset?: PairDataset | LabelledDataset;
  /** LoRA settings of its adapter. */
  peftConfig?: LoraArgs;
  /** The checkpoint store of the stage; without one it cannot be resumed. */
  checkpoint?: CheckpointStore;
}

export interface SACPOTrainerOptions {
  model: CausalLM;
  stages: readonly SACPOStage[];
  processingClass?: Tokenizer;
  referenceCache?: ReferenceCache;
}

/** An event of a stage; the trainer is that of the stage, and is disposed of when the next one begins. */
export interface SACPOEvent {
  /** Starts at 0. */
  stage: number;
  name: string;
  trainer: Trainer;
  event: TrainEvent;
}

export class SACPOTrainer {
  /** The adapters of the finished stages, in order, on the model. */
  readonly adapters: LoraAdapter[] = [];

  /**
   * Throws {@link InputError} for any invalid stage, including its data, before the first is trained. `tasks`: made from
   * the options earlier.
   */
  constructor(
    private readonly options: SACPOTrainerOptions,
    private readonly tasks: readonly StageTask[] = atOnce(stageTasks(options)),
  ) {}

  /** The same, but prepares the data in slices and yields to the event loop in between. Throws the signal's reason. */
  static async create(options: SACPOTrainerOptions, slices?: SliceOptions): Promise<SACPOTrainer> {
    return new SACPOTrainer(options, await inSlices(stageTasks(options), slices));
  }

  /** Trains the stages one after the other; see {@link Trainer.train}. A signal can end it within a stage. */
  async *train({ signal }: { signal?: AbortSignal } = {}): AsyncGenerator<SACPOEvent> {
    const { model, stages } = this.options;
    for (const [index, stage] of stages.entries()) {
      const trainer = this.trainerOf(stage, this.tasks[index]);
      let completed = false;
      try {
        for await (const event of trainer.train(signal ? { signal } : {})) {
          if (event.type === 'end') completed = event.completed;
          yield { stage: index, name: stage.name, trainer, event };
        }
        if (!completed) return;
        this.adapters.push(await frozen(model, trainer));
      } catch (error) {
        throw named(stage, error);
      } finally {
        trainer.dispose();
      }
    }
  }

  private trainerOf(stage: SACPOStage, task: StageTask): Trainer {
    const { Trainer: Made } = METHODS[stage.method];
    try {
      return new Made(optionsOf(stage, this.options), task);
    } catch (error) {
      throw named(stage, error);
    }
  }

  /** The scale of the last stage: 0 is the model before it, 1 all of it, in between P-SACPO's q. */
  scale(q: number): void {
    const last = this.adapters.at(-1);
    if (last) last.factor = checkedScale(q);
  }

  /** All stages in one adapter, the last one scaled by q. */
  async combined(q = 1): Promise<Adapter> {
    checkedScale(q);
    const adapters = await Promise.all(this.adapters.map((adapter) => adapter.toAdapter()));
    return combineAdapters(
      adapters.map((adapter, i) => ({ adapter, factor: i === adapters.length - 1 ? q : 1 })),
    );
  }
}

/** Checks q; {@link InputError} outside [0, 1], where it would not interpolate between two results. */
export function checkedScale(q: number): number {
  if (q >= 0 && q <= 1) return q;
  throw new InputError(
    'q',
    `is ${q}`,
    'Give a number from 0 (only the stages before) to 1 (all of the last one)',
  );
}

/** β/λ. */
export function effectiveBeta({ args, lambda = 1 }: Pick<SACPOStage, 'args' | 'lambda'>): number {
  return (args?.beta ?? DPO_DEFAULTS.beta) / lambda;
}

/** Settings, data and loss of every stage. Throws {@link InputError} that names the stage. */
function* stageTasks(options: SACPOTrainerOptions): Sliced<StageTask[]> {
  const { model, stages } = options;
  if (stages.length === 0)
    throw new InputError('stages', 'the list is empty', 'Give one stage for each criterion');
  for (const stage of stages) checkStage(stage);
  const tasks: StageTask[] = [];
  for (const stage of stages) {
    try {
      tasks.push(yield* METHODS[stage.method].taskOf(optionsOf(stage, options)));
      checkFreshAdapter(model, stage.peftConfig ?? {});
    } catch (error) {
      throw named(stage, error);
    }
  }
  return tasks;
}

function optionsOf(
  stage: SACPOStage,
  { model, processingClass, referenceCache }: SACPOTrainerOptions,
): StageOptions {
  const { trainDataset, evalDataset, checkpoint } = stage;
  return {
    model,
    args: { ...stage.args, beta: effectiveBeta(stage) },
    trainDataset,
    peftConfig: stage.peftConfig ?? {},
    ...(evalDataset ? { evalDataset } : {}),
    ...(checkpoint ? { checkpoint } : {}),
    ...(processingClass ? { processingClass } : {}),
    ...(referenceCache ? { referenceCache } : {}),
  };
}

function checkStage({ name, method, lambda = 1 }: SACPOStage): void {
  if (!STAGE_METHODS.includes(method)) {
    throw new InputError(
      `stage ${quote(name)}`,
      `${quote(method)} has no reference, but a stage needs the one before as its reference`,
      `Take ${listed(STAGE_METHODS)}`,
    );
  }
  if (!(lambda > 0 && Number.isFinite(lambda))) {
    throw new InputError(`stage ${quote(name)}`, `lambda is ${lambda}`, 'Give a number above 0');
  }
}

/** Adds the stage to an input error; returns any other error unchanged. */
function named({ name }: SACPOStage, error: unknown): unknown {
  if (!(error instanceof InputError)) return error;
  return error.at(`stage ${quote(name)}, ${error.where}`);
}

/** The trainer's adapter, which no longer trains. */
async function frozen(model: CausalLM, { adapter }: Trainer): Promise<LoraAdapter> {
  if (!adapter) throw new InputError('stages', 'train adapters', 'Pass a peftConfig');
  const learned = await adapter.toAdapter();
  model.detach(adapter);
  return model.attach(learned);
}
