/**
 * The settings of every trainer, with the names and defaults of TRL and transformers. Groups of other trainers are
 * beside this file; `trainers.ts` combines them.
 */
import { boolean, choice, number, translated, whole } from '../../base/setting.ts';
import { SCHEDULES, type SchedulerType } from '../schedule.ts';

export const TRAINING = {
  /** Peak learning rate. */
  learningRate: number({
    default: 1e-6,
    range: { from: 0 },
    mayChange: true,
    group: 'training',
    trl: 'learning_rate',
    aliases: ['lr'],
    help: 'peak learning rate',
  }),
  /** Passes over the data. */
  numTrainEpochs: number({
    default: 3,
    range: { above: 0, upTo: 1e6 },
    mayChange: true,
    group: 'training',
    flag: 'epochs',
    trl: 'num_train_epochs',
    help: 'passes over the data',
  }),
  /** Optimizer steps; overrides the epochs if it is above 0. */
  maxSteps: whole({
    default: -1,
    range: { from: -1 },
    mayChange: true,
    group: 'training',
    trl: 'max_steps',
    help: 'optimizer steps instead of epochs; -1 uses the epochs',
  }),
  /** Examples per micro-batch. */
  perDeviceTrainBatchSize: whole({
    default: 8,
    range: { from: 1 },
    group: 'training',
    flag: 'batch-size',
    trl: 'per_device_train_batch_size',
    help: 'examples per micro-batch',
  }),
  /** Examples per batch in evaluation and for the reference. */
  perDeviceEvalBatchSize: whole({
    default: 8,
    range: { from: 1 },
    mayChange: true,
    group: 'training',
    flag: 'eval-batch-size',
    trl: 'per_device_eval_batch_size',
    help: 'examples per batch in evaluation and for the reference',
  }),
  /** Micro-batches per optimizer step. */
  gradientAccumulationSteps: whole({
    default: 1,
    range: { from: 1 },
    group: 'training',
    flag: 'gradient-accumulation',
    trl: 'gradient_accumulation_steps',
    help: 'micro-batches per optimizer step',
  }),
  /** The schedule of the learning rate. */
  lrSchedulerType: choice(Object.keys(SCHEDULES) as SchedulerType[], {
    default: 'linear',
    mayChange: true,
    group: 'training',
    trl: 'lr_scheduler_type',
    help: 'schedule of the learning rate',
  }),
  /** Steps over which the learning rate rises. */
  warmupSteps: whole({
    default: 0,
    range: { from: 0 },
    mayChange: true,
    group: 'training',
    // A number below 1 is TRL's fraction of all steps.
    trl: translated('warmup_steps', ({ warmupSteps, warmupRatio }) => ({
      warmup_steps: Number(warmupSteps) > 0 ? warmupSteps : warmupRatio,
    })),
    help: 'steps over which the learning rate rises',
  }),
  /** Fraction of all steps, used if `warmupSteps` is 0. */
  warmupRatio: number({
    default: 0,
    range: { from: 0, upTo: 1 },
    mayChange: true,
    group: 'training',
    trl: translated('warmup_ratio', () => ({})),
    help: 'the same as a fraction of all steps',
  }),
  /** Maximum gradient norm; 0 does not clip. */
  maxGradNorm: number({
    default: 1,
    range: { from: 0 },
    group: 'training',
    trl: 'max_grad_norm',
    help: 'maximum gradient norm; 0 does not clip',
  }),
  /** AdamW's weight decay. */
  weightDecay: number({
    default: 0,
    range: { from: 0 },
    group: 'training',
    trl: 'weight_decay',
    help: 'weight decay of AdamW',
  }),
  /** AdamW's β₁. */
  adamBeta1: number({
    default: 0.9,
    range: { from: 0, below: 1 },
    group: 'training',
    trl: 'adam_beta1',
    help: 'β₁ of AdamW: decay of the mean gradient',
  }),
  /** AdamW's β₂. */
  adamBeta2: number({
    default: 0.999,
    range: { from: 0, below: 1 },
    group: 'training',
    trl: 'adam_beta2',
    help: 'β₂ of AdamW: decay of the mean squared gradient',
  }),
  /** AdamW's ε. */
  adamEpsilon: number({
    default: 1e-8,
    range: { from: 0 },
    group: 'training',
    trl: 'adam_epsilon',
    help: 'ε of AdamW, added to the divisor',
  }),
  /** The seed of all random numbers: the same seed gives the same bytes. */
  seed: whole({
    default: 42,
    range: { from: 0, upTo: 2 ** 32 - 1 },
    group: 'run',
    trl: 'seed',
    help: 'seed of all random numbers; the same seed gives the same bytes',
  }),
  /** Whether every epoch has its own random order, from the seed. */
  shuffleDataset: boolean({
    default: true,
    group: 'training',
    trl: translated(null, ({ shuffleDataset }) => ({
      train_sampling_strategy: shuffleDataset ? 'random' : 'sequential',
    })),
    help: 'shuffle the examples with the seed',
    off: 'use the examples in file order',
  }),
  /** Steps between evaluations; 0 evaluates only at the end. */
  evalSteps: whole({
    default: 0,
    range: { from: 0 },
    mayChange: true,
    group: 'run',
    trl: translated('eval_steps', ({ evalSteps }) =>
      Number(evalSteps) > 0 ? { eval_strategy: 'steps', eval_steps: evalSteps } : {},
    ),
    help: 'steps between evaluations; 0 evaluates only at the end',
  }),
  /** Steps between checkpoints; 0 writes one only when training stops. */
  saveSteps: whole({
    default: 0,
    range: { from: 0 },
    mayChange: true,
    group: 'run',
    trl: translated('save_steps', ({ saveSteps }) =>
      Number(saveSteps) > 0 ? { save_strategy: 'steps', save_steps: saveSteps } : { save_strategy: 'no' },
    ),
    help: 'steps between checkpoints; 0 writes one only when training stops',
  }),
  /** Recompute the activations of a layer instead of keeping them: slower, far less memory. */
  gradientCheckpointing: boolean({
    default: false,
    group: 'training',
    trl: 'gradient_checkpointing',
    help: 'recompute activations instead of keeping them: slower, less memory',
  }),
  /** The head's gradient skips tokens with a probability below this; 0 skips none. */
  filterEps: number({
    default: 0,
    range: { from: 0, below: 1 },
    group: 'training',
    trl: null,
    help: "skip tokens with a probability below this in the head's gradient: faster; 0 is exact",
  }),
  /**
   * How activations are stored between the forward and the backward pass. `float16` takes half the memory; only gradients,
   * not losses, are rounded.
   */
  savedActivations: choice(['float32', 'float16'], {
    default: 'float32',
    group: 'training',
    trl: null,
    help: 'how activations are stored for the backward pass; float16 takes half the memory',
  }),
};
