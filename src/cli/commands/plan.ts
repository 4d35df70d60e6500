/**
 * `webalign plan`: what a run of `webalign dpo` with these settings will hold on the GPU, part by part, whether it fits, and
 * what to change where it does not. Trains nothing and uploads nothing.
 */
import { Tokenizer } from '../../data/tokenizer.ts';
import type { Gpu } from '../../gpu/device.ts';
import { formatBytes } from '../../gpu/errors.ts';
import { checkDtype } from '../../model/precision.ts';
import { DPO_DEFAULTS } from '../../train/config.ts';
import { type MemoryPlan, planMemory } from '../../train/memory-plan.ts';
import { TRAINING } from '../../train/settings/training.ts';
import { TRL_NAMES } from '../../train/settings/trl-names.ts';
import { command } from '../command.ts';
import { checkMethod, DPO, methodOptions, shownDefaults } from '../methods.ts';
import { openModelFiles, withGpu } from '../open.ts';
import { LORA_OPTIONS, MODEL_OPTIONS, OPTIONS, type OptionName, pick, type Settings } from '../options.ts';
import { initialAdapter, loraConfig } from '../training.ts';
import { readData } from '../training-data.ts';

export const plan = command({
  name: 'plan',
  summary: 'what a run of dpo will need on the GPU, before it',
  description:
    'Takes the settings of webalign dpo and says what its run will hold on the GPU, part by part, by rehearsing it on a ' +
    "device that only counts. Holds it against the device's limits and --memory-cap; where it does not fit, says which " +
    'changes would make it. The exit code is 1 then.',
  example: 'plan --model HuggingFaceTB/SmolLM2-135M --data pairs.jsonl --batch-size 16 --memory-cap 4GiB',
  options: [
    ...MODEL_OPTIONS,
    'dtype',
    'data',
    'evalData',
    'evalSplit',
    'initAdapter',
    'full',
    ...methodOptions(DPO),
    ...LORA_OPTIONS,
  ],
  required: ['model', 'data'],
  defaults: { dtype: 'auto', evalSplit: 0.1, seed: TRAINING.seed.default },
  reasons: TRL_NAMES,
  shown: shownDefaults(DPO),
  async run({ settings, terminal, signal }) {
    const { full = false, memoryCap } = settings;
    checkMethod(DPO, settings);
    const files = await openModelFiles(settings, terminal, signal);
    const { train, evaluation } = await readData(DPO, settings, (line) => terminal.info(line));
    const tokenizer = await Tokenizer.fromFiles(files);
    const given = await initialAdapter(settings, files, terminal);
    return withGpu(terminal, { ...settings, memoryCap: undefined }, async (gpu) => {
      const planFor = ({ dtype = 'auto', ...so }: Settings) => {
        checkDtype(dtype);
        return planMemory(
          gpu,
          files,
          (model) => {
            return DPO.trainer({
              model,
              args: pick(so, methodOptions(DPO)),
              trainDataset: train,
              evalDataset: evaluation,
              processingClass: tokenizer,
              peftConfig: given ?? (full ? null : loraConfig(so, model)),
            });
          },
          { trainable: full, dtype },
        );
      };
      const found = await planFor(settings);
      const limits = limitsOf(gpu, memoryCap);
      const troubles = troublesOf(found, limits);
      const changes = [];
      for (const change of troubles.length > 0 ? changesTo(settings) : []) {
        const changed = await planFor({ ...settings, ...change });
        const fits = troublesOf(changed, limits).length === 0;
        changes.push({ change, bytes: changed.plannedBytes, fits });
        if (fits) break;
      }

      const rows = Object.entries(found.parts).sort(([, a], [, b]) => b - a);
      for (const [part, bytes] of rows) {
        const share = ((100 * bytes) / found.heldBytes).toFixed(0).padStart(3);
        terminal.print(`${part.padEnd(16)}${formatBytes(bytes).padStart(12)} ${share}%`);
      }
      terminal.print(`${'all'.padEnd(16)}${formatBytes(found.heldBytes).padStart(12)}`);
      terminal.print(
        `At least ${formatBytes(found.plannedBytes)} at once: under a cap, buffers that only wait are given back.`,
      );
      for (const trouble of troubles) terminal.print(trouble);
      for (const { change, bytes, fits } of changes)
        terminal.print(
          `${fits ? 'Fits' : 'Does not fit yet'} with ${flagsOf(change)}: ${formatBytes(bytes)}`,
        );
      if (troubles.length === 0) terminal.print('It fits.');
      return {
        json: { ...found, limits, fits: troubles.length === 0, changes },
        failed: troubles.length > 0,
      };
    });
  },
});

interface Limits {
  /** Bytes that may be held; null where nobody has set a cap, for WebGPU does not tell how much there is. */
  memoryCap: number | null;
  /** Bytes of the largest buffer that kernels can see whole. */
  buffer: number;
  /** Bytes of the largest one that can be made. */
  weight: number;
}

function limitsOf({ limits }: Gpu, memoryCap: number | undefined): Limits {
  const buffer = Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize);
  return { memoryCap: memoryCap ?? null, buffer, weight: limits.maxBufferSize };
}

/** What does not fit, a sentence each. */
function troublesOf(
  { plannedBytes, largestBuffer, largestWeight }: MemoryPlan,
  { memoryCap, ...limits }: Limits,
): string[] {
  const troubles = [];
  if (memoryCap !== null && plannedBytes > memoryCap) {
    troubles.push(`${formatBytes(plannedBytes)} is over the cap of ${formatBytes(memoryCap)}.`);
  }
  for (const [largest, limit] of [
    [largestBuffer, limits.buffer],
    [largestWeight, limits.weight],
  ] as const) {
    if (!largest || largest.bytes <= limit) continue;
    const { label, bytes } = largest;
    troubles.push(
      `"${label}" needs a buffer of ${formatBytes(bytes)}, over this device's ${formatBytes(limit)}.`,
    );
  }
  return troubles;
}

/** Precisions that no smaller one is proposed for. */
const BLOCKS: readonly (string | undefined)[] = ['q8_0', 'q4_0'];

/** What could be changed, from what costs and alters least: each change on top of those before it. */
function changesTo(settings: Settings): Settings[] {
  const {
    perDeviceTrainBatchSize: batch = DPO_DEFAULTS.perDeviceTrainBatchSize,
    gradientAccumulationSteps: accumulation = DPO_DEFAULTS.gradientAccumulationSteps,
    maxLength = DPO_DEFAULTS.maxLength,
  } = settings;
  const changes: Settings[] = [];
  let so: Settings = {};
  const also = (change: Settings) => {
    so = { ...so, ...change };
    changes.push(so);
  };
  if (!settings.gradientCheckpointing) {
    // One excludes the other, so that what follows builds on the one that saves more.
    const packed = settings.savedActivations === 'float16';
    if (!packed) changes.push({ savedActivations: 'float16' });
    also({ gradientCheckpointing: true, ...(packed && { savedActivations: 'float32' }) });
  }
  const spread = (size: number) => ({
    perDeviceTrainBatchSize: size,
    gradientAccumulationSteps: accumulation * Math.ceil(batch / size),
  });
  if (batch > 2) also(spread(Math.floor(batch / 2)));
  if (batch > 1) also(spread(1));
  if (!settings.full && !BLOCKS.includes(settings.dtype)) also({ dtype: 'q8_0' });
  also({ maxLength: Math.max(2, Math.floor(maxLength / 2)) });
  return changes;
}

function flagsOf(change: Settings): string {
  return Object.entries(change)
    .map(([name, value]) => {
      const { flag, kind } = OPTIONS[name as OptionName];
      return kind === 'switch' ? flag : `${flag} ${value}`;
    })
    .join(' ');
}
