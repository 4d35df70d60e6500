/**
 * The settings that every trainer has, with the names and defaults of TRL and transformers. Groups of other trainers stand
 * beside this one; `trainers.ts` puts them together.
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
  /** Optimizer steps; overrides the epochs where it is above 0. */
  maxSteps: whole({
    default: -1,
    range: { from: -1 },
    mayChange: true,
    group: 'training',
    trl: 'max_steps',
    help: 'optimizer steps, in place of epochs; -1 for the epochs',
  }),
  /** Examples at a time. */
  perDeviceTrainBatchSize: whole({
    default: 8,
    range: { from: 1 },
    group: 'training',
    flag: 'batch-size',
    trl: 'per_device_train_batch_size',
    help: 'examples at a time',
  }),
  /** Examples at a time where nothing is learned: evaluation and reference. */
  perDeviceEvalBatchSize: whole({
    default: 8,
    range: { from: 1 },
    mayChange: true,
    group: 'training',
    flag: 'eval-batch-size',
    trl: 'per_device_eval_batch_size',
    help: 'examples at a time when nothing is learned',
  }),
  /** Batches to one optimizer step. */
  gradientAccumulationSteps: whole({
    default: 1,
    range: { from: 1 },
    group: 'training',
    flag: 'gradient-accumulation',
    trl: 'gradient_accumulation_steps',
    help: 'batches to one optimizer step',
  }),
  /** How the learning rate falls. */
  lrSchedulerType: choice(Object.keys(SCHEDULES) as SchedulerType[], {
    default: 'linear',
    mayChange: true,
    group: 'training',
    trl: 'lr_scheduler_type',
    help: 'how the learning rate falls',
  }),
  /** Steps over which the learning rate rises. */
  warmupSteps: whole({
    default: 0,
    range: { from: 0 },
    mayChange: true,
    group: 'training',
    // A number below 1 is TRL's share of all steps.
    trl: translated('warmup_steps', ({ warmupSteps, warmupRatio }) => ({
      warmup_steps: Number(warmupSteps) > 0 ? warmupSteps : warmupRatio,
    })),
    help: 'steps over which the learning rate rises',
  }),
  /** Share of all steps, where `warmupSteps` is 0. */
  warmupRatio: number({
    default: 0,
    range: { from: 0, upTo: 1 },
    mayChange: true,
    group: 'training',
    trl: translated('warmup_ratio', () => ({})),
    help: 'the same as a share of all steps',
  }),
  /** Gradient norm to clip to; 0 does not clip. */
  maxGradNorm: number({
    default: 1,
    range: { from: 0 },
    group: 'training',
    trl: 'max_grad_norm',
    help: 'gradient norm to clip to; 0 does not clip',
  }),
  /** AdamW's decay of the weights. */
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
    help: "β₁ of AdamW: decay of the gradients' mean",
  }),
  /** AdamW's β₂. */
  adamBeta2: number({
    default: 0.999,
    range: { from: 0, below: 1 },
    group: 'training',
    trl: 'adam_beta2',
    help: "β₂ of AdamW: decay of the squares' mean",
  }),
  /** AdamW's ε. */
  adamEpsilon: number({
    default: 1e-8,
    range: { from: 0 },
    group: 'training',
    trl: 'adam_epsilon',
    help: 'ε of AdamW, added to the divisor',
  }),
  /** Everything random derives from it: the same seed gives the same bytes. */
  seed: whole({
    default: 42,
    range: { from: 0, upTo: 2 ** 32 - 1 },
    group: 'run',
    trl: 'seed',
    help: 'the same seed gives the same bytes',
  }),
  /** Whether every epoch has an order of its own, from the seed. */
  shuffleDataset: boolean({
    default: true,
    group: 'training',
    trl: translated(null, ({ shuffleDataset }) => ({
      train_sampling_strategy: shuffleDataset ? 'random' : 'sequential',
    })),
    help: 'take the examples in an order drawn from the seed',
    off: 'take the examples in the order of the file',
  }),
  /** Steps between evaluations; 0 evaluates at the end alone. */
  evalSteps: whole({
    default: 0,
    range: { from: 0 },
    mayChange: true,
    group: 'run',
    trl: translated('eval_steps', ({ evalSteps }) =>
      Number(evalSteps) > 0 ? { eval_strategy: 'steps', eval_steps: evalSteps } : {},
    ),
    help: 'steps between evaluations; 0 evaluates at the end',
  }),
  /** Steps between checkpoints; 0 writes one when training stops. */
  saveSteps: whole({
    default: 0,
    range: { from: 0 },
    mayChange: true,
    group: 'run',
    trl: translated('save_steps', ({ saveSteps }) =>
      Number(saveSteps) > 0 ? { save_strategy: 'steps', save_steps: saveSteps } : { save_strategy: 'no' },
    ),
    help: 'steps between checkpoints; 0 keeps one when training stops',
  }),
  /** Keep no activations of a layer but run it again: slower, far less memory. */
  gradientCheckpointing: boolean({
    default: false,
    group: 'training',
    trl: 'gradient_checkpointing',
    help: 'keep no activations but compute them again: slower, less memory',
  }),
  /** Tokens whose probability is below this are left out of the head's gradient; 0 leaves out none. */
  filterEps: number({
    default: 0,
    range: { from: 0, below: 1 },
    group: 'training',
    trl: null,
    help: "leave tokens whose probability is below this out of the head's gradient: faster; 0 is exact",
  }),
  /**
   * How activations lie from the forward to the backward pass. In `float16` they take half the memory, and only gradients,
   * not losses, are rounded.
   */
  savedActivations: choice(['float32', 'float16'], {
    default: 'float32',
    group: 'training',
    trl: null,
    help: 'how activations wait for the backward pass; float16 takes half the memory',
  }),
};
