/**
 * `webalign plan`: the GPU memory that a training run with these settings needs, by part, whether it fits,
 * and what to change if it does not. Trains nothing, writes nothing and uploads nothing.
 */
import { didYouMean } from '../../base/suggest.ts';
import { Tokenizer } from '../../data/tokenizer.ts';
import type { Gpu } from '../../gpu/device.ts';
import { formatBytes } from '../../gpu/errors.ts';
import { InputError, listed, quote } from '../../io/errors.ts';
import type { CausalLM } from '../../model/causal-lm.ts';
import { checkDtype } from '../../model/precision.ts';
import { type MemoryPlan, planMemory } from '../../train/memory-plan.ts';
import { TRL_NAMES } from '../../train/settings/trl-names.ts';
import { type Command, command } from '../command.ts';
import {
  checkMethod,
  type Method,
  methodOptions,
  RUN_DEFAULTS,
  requiredOptions,
  runOptions,
  shownDefaults,
} from '../method.ts';
import { DPO, METHODS } from '../methods.ts';
import { openModelFiles, withGpu } from '../open.ts';
import { OPTIONS, type OptionName, pick, type Settings } from '../options.ts';
import { changesTo, flagsOf } from '../plan-changes.ts';
import { initialAdapter, loraConfig } from '../training.ts';
import { readData } from '../training-data.ts';
import { tellsTokenizing } from '../training-lines.ts';

const NAME = 'plan';

/** The command for the method in the arguments, with that method's options. Throws {@link InputError}. */
export function planCommand(args: readonly string[]): Command {
  return planOf(args[0] === NAME ? methodIn(args) : DPO);
}

function methodIn(args: readonly string[]): Method {
  const { flag } = OPTIONS.method;
  const at = args.findIndex((arg) => arg === flag || arg.startsWith(`${flag}=`));
  if (at < 0) return DPO;
  const name = args[at] === flag ? (args[at + 1] ?? '') : args[at].slice(flag.length + 1);
  const found = METHODS.find((method) => method.name === name);
  if (found) return found;
  const names = METHODS.map((method) => method.name);
  const wayOut = `${didYouMean(name, names)}Supported: ${listed(names, names.length)}`;
  throw new InputError(flag, `is ${quote(name)}`, wayOut);
}

/** Explanations for the options of other methods, by flag. */
function othersThan(method: Method): Record<string, string> {
  const taken = new Set<OptionName>(runOptions(method));
  const reasons = METHODS.flatMap((other) =>
    runOptions(other)
      .filter((name) => !taken.has(name))
      .map((name): [string, string] => {
        const having = METHODS.filter((each) => runOptions(each).includes(name)).map((each) => each.name);
        const wayOut = `plan it with ${OPTIONS.method.flag} ${having[0]}`;
        return [
          OPTIONS[name].flag.slice(2),
          `${method.name} does not have it, ${listed(having, having.length)} ${having.length === 1 ? 'does' : 'do'}; ${wayOut}`,
        ];
      }),
  );
  return Object.fromEntries(reasons);
}

function planOf(method: Method): Command {
  return command({
    name: NAME,
    summary: 'predict the GPU memory of a run',
    description:
      'Takes the settings of webalign dpo, or of the command that --method names, and predicts the memory of its run on the ' +
      "GPU, by part, by rehearsing it on a counting device. Compares it with the device's limits and " +
      '--memory-cap; if it does not fit, suggests changes and exits with code 1. Options and defaults ' +
      `are those of ${method.name}; add --method to this help for those of another.`,
    example:
      'plan --model HuggingFaceTB/SmolLM2-135M --data pairs.jsonl --batch-size 16 --memory-cap 4GiB\n' +
      '  $ webalign plan --method rloo --model demos/align/model --data prompts.jsonl --reward sentiment',
    options: ['method', ...runOptions(method)],
    required: requiredOptions(method),
    defaults: RUN_DEFAULTS,
    reasons: { ...TRL_NAMES, ...othersThan(method) },
    shown: { ...shownDefaults(method), method: DPO.name },
    async run({ settings, terminal, signal }) {
      const { full = false, memoryCap } = settings;
      checkMethod(method, settings);
      const { model, data } = settings as Settings & { model: string; data: string[] };
      const files = await openModelFiles({ ...settings, model }, terminal, signal);
      const { train, evaluation } = await readData(method, { ...settings, data }, (line) =>
        terminal.info(line),
      );
      const tokenizer = await Tokenizer.fromFiles(files);
      const given = await initialAdapter(settings, files, terminal);
      return withGpu(terminal, settings, async (gpu) => {
        const planFor = ({ dtype = 'auto', ...so }: Settings) => {
          checkDtype(dtype);
          const make = async (model: CausalLM) => {
            const options = {
              ...(await method.extra?.load(so, { model, tokenizer, settings: so, terminal, signal })),
              model,
              args: pick(so, methodOptions(method)),
              trainDataset: train,
              evalDataset: evaluation,
              processingClass: tokenizer,
              peftConfig: given ?? (full ? null : loraConfig(so, model)),
            };
            return method.trainer(options, { signal, onProgress: tellsTokenizing(method, terminal) });
          };
          return planMemory(gpu, files, make, { trainable: full, dtype });
        };
        const found = await planFor(settings);
        const limits = limitsOf(gpu, memoryCap);
        const troubles = troublesOf(found, limits);
        const changes = [];
        for (const change of troubles.length > 0 ? changesTo(settings, method) : []) {
          const changed = await planFor({ ...settings, ...change });
          const fits = troublesOf(changed, limits).length === 0;
          changes.push({ change, bytes: changed.plannedBytes, fits });
          if (fits) break;
        }

        const rows = Object.entries(found.parts).sort(([, a], [, b]) => b - a);
        for (const [part, bytes] of rows) {
          const share = ((100 * bytes) / found.plannedBytes).toFixed(0).padStart(3);
          terminal.print(`${part.padEnd(16)}${formatBytes(bytes).padStart(12)} ${share}%`);
        }
        terminal.print(`About ${formatBytes(found.plannedBytes)} of GPU memory.`);
        for (const trouble of troubles) terminal.print(trouble);
        for (const { change, bytes, fits } of changes)
          terminal.print(
            `${fits ? 'Fits' : 'Still does not fit'} with ${flagsOf(change)}: ${formatBytes(bytes)}`,
          );
        if (troubles.length === 0) terminal.print('It fits.');
        return {
          json: { method: method.name, ...found, limits, fits: troubles.length === 0, changes },
          failed: troubles.length > 0,
        };
      });
    },
  });
}

interface Limits {
  /** The memory cap in bytes; null without a cap, because WebGPU does not report the device's memory. */
  memoryCap: number | null;
  /** Bytes of the largest binding. */
  buffer: number;
  /** Bytes of the largest buffer. */
  weight: number;
}

function limitsOf({ limits }: Gpu, memoryCap: number | undefined): Limits {
  const buffer = Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize);
  return { memoryCap: memoryCap ?? null, buffer, weight: limits.maxBufferSize };
}

/** What does not fit, one sentence each. */
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
