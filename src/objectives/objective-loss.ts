/**
 * Runs objectives: from sums of token log-probabilities to a record for each pair or labelled completion, and to the
 * derivative that starts the backward pass. Serves every descriptor of the catalogue and those of users; knows no
 * formula.
 */
import { joined } from '../gpu/join.ts';
import { type Buffers, type Grid, type Kernel, kernels } from '../gpu/kernel.ts';
import type { Constants } from '../gpu/pipelines.ts';
import { reflect } from '../gpu/reflect.ts';
import type { Shader } from '../gpu/shader.ts';
import { checkPerRow } from '../ops/logits.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { type Objective, objectiveOptions } from './catalogue.ts';
import { DIVERGENCES, type Divergence, REVERSE_KL } from './divergences.ts';
import { EXAMPLE_RECORD, PAIR_RECORD } from './record.ts';

/** One objective of a list. */
export interface Term {
  objective: Objective;
  /** Its options; defaults for what is left out. */
  options?: Readonly<Record<string, number | undefined>>;
  /** 1 where it is left out. */
  weight?: number;
}

/** Of S completions: of pair p 2p the chosen, 2p + 1 the rejected; of example e `completionsOf` from there on. */
export interface CompletionSums {
  /** (S) log π. */
  sums: Tensor;
  /** (S) log π_ref; 0 without a reference. */
  reference: Tensor;
  /** (S + 1) u32: where each completion's tokens start. */
  offsets: Tensor;
  /** (examples) u32, 1 desirable; only for labelled examples. */
  labels?: Tensor;
}

export interface LossSettings {
  /** Of the derivative: 1 / records of the optimizer step. 1 / records of these where it is left out. */
  scale?: number;
  divergence?: Divergence;
  /** What a token mean divides by: the mean length in the batch, as TRL does; each completion's own where left out. */
  meanTokens?: number;
}

/** Columns of a record. */
export function recordWidth({ unit }: Objective): number {
  return { pair: PAIR_RECORD, example: EXAMPLE_RECORD }[unit].width;
}

/** Completions that make a record. */
export function completionsOf({ unit, baseline }: Objective): 1 | 2 {
  return unit === 'pair' || baseline ? 2 : 1;
}

type Entry = 'forward' | 'evaluate' | 'rank_samples';

const perRecord: Grid = { threads: (p) => p.records };
/** Of both sides. */
const perValue: Grid = { groups: (p) => 2 * p.records };
const known = new WeakMap<Shader, Record<Entry, Kernel>>();

function kernelsOf(shader: Shader): Record<Entry, Kernel> {
  let found = known.get(shader);
  if (!found) {
    found = kernels(shader, { forward: perRecord, evaluate: perRecord, rank_samples: perValue });
    known.set(shader, found);
  }
  return found;
}

/**
 * The weighted sum of the terms → records (n, width), which live as long as the tape: read them before the backward
 * pass, or copy them. Their figures are those of the first term, the loss is the sum. Where `sums` needs a gradient,
 * `scale` times the derivative goes into it at once, so that `tape.backward()` continues from there.
 *
 * Throws a RangeError for shapes that do not fit, for unknown options, and for terms that do not go together.
 */
export function objectiveLoss(
  tape: Tape,
  terms: readonly Term[],
  completions: CompletionSums,
  { scale, divergence = REVERSE_KL, meanTokens = 0 }: LossSettings = {},
): { records: Tensor } {
  const { objective: first } = terms[0] as Term;
  const stride = completionsOf(first);
  const { sums, labels, ...others } = completions;
  const sequences = sums.length;
  const count = sequences / stride;
  if (!Number.isInteger(count)) throw new RangeError(`objectiveLoss: ${sums} holds no whole number of pairs`);
  checkPerRow('objectiveLoss: sums', sums, sequences, 'f32');
  checkPerRow('objectiveLoss: reference', completions.reference, sequences, 'f32');
  checkPerRow('objectiveLoss: offsets', completions.offsets, sequences + 1, 'u32');
  if (labels) checkPerRow('objectiveLoss: labels', labels, count, 'u32');
  const records = tape.empty([count, recordWidth(first)], 'records');
  const slot = tape.recording ? tape.gradient(sums) : undefined;
  for (const [index, { objective, options, weight = 1 }] of terms.entries()) {
    if (objective.unit !== first.unit || completionsOf(objective) !== stride) {
      throw new RangeError(`objectives ${first.name} and ${objective.name} do not take the same data`);
    }
    const adds = index > 0 ? 1 : 0;
    const params = {
      records: count,
      scale: scale ?? 1 / count,
      weight,
      mean_tokens: meanTokens,
      divergence_alpha: divergence.alpha,
      adds,
      accumulate: slot?.accumulate || adds,
      ...shaderNames(objectiveOptions(objective, options)),
    };
    const shader = joined(objective.shader, DIVERGENCES[divergence.type].shader);
    const constants: Constants = objective.unit === 'example' ? { STRIDE: stride } : {};
    const ofUnit: Buffers = labels && objective.unit === 'example' ? { labels } : {};
    const { forward, evaluate, rank_samples } = kernelsOf(shader);
    // A formula that compares sorted values has a kernel that ranks them: lib/ranks.wgsl.
    const isRanked = reflect(shader).entries.has('rank_samples');
    const ranks = isRanked ? tape.empty([4, count], 'ranks', 'u32') : undefined;
    if (ranks) rank_samples(tape.gpu, { sums, ...others, ranked: ranks }, params);
    const buffers = { sums, ...others, ...ofUnit, ...(ranks && { ranks }), records };
    if (slot) forward(tape.gpu, { ...buffers, dsums: slot.grad }, params, constants);
    else evaluate(tape.gpu, buffers, params, constants);
  }
  return { records };
}

function shaderNames(options: Readonly<Record<string, number>>): Record<string, number> {
  const named = Object.entries(options).map(([name, value]): [string, number] => [
    name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    value,
  ]);
  return Object.fromEntries(named);
}
