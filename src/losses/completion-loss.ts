/**
 * Runs losses on pairs and completions: from sums of token log-probabilities, or other scores, to one record per
 * pair or completion, and to the derivative that starts the backward pass. Works with every descriptor of the catalogue
 * and of users; contains no formula.
 */
import { own } from '../base/lookup.ts';
import type { ColumnScope } from '../data/packing.ts';
import { joined } from '../gpu/join.ts';
import { type Buffers, type Grid, type Kernel, kernels, type Params } from '../gpu/kernel.ts';
import type { Constants } from '../gpu/pipelines.ts';
import { reflect } from '../gpu/reflect.ts';
import type { Shader } from '../gpu/shader.ts';
import { checkPerRow } from '../ops/logits.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { DIVERGENCES, type Divergence, REVERSE_KL } from './divergences.ts';
import type { Loss } from './loss.ts';
import { type GivenOption, lossOptions } from './options.ts';
import { DIVISORS, type DivisorContext, unitOf } from './units.ts';

/** One loss of a list. */
export interface Term {
  loss: Loss;
  /** Its options; missing ones have their defaults. */
  options?: Readonly<Record<string, GivenOption>>;
  /** Default: 1. */
  weight?: number;
}

/** Lengths of the learned completions in a micro-batch, in its optimizer step and in its rollout batch. */
export type Lengths = Omit<DivisorContext, 'options'>;

/** The available columns, and the required length for each scope; undefined if unknown. */
export interface GivenColumns {
  columns: Readonly<Record<string, Tensor>>;
  lengths: Readonly<Record<ColumnScope, number | undefined>>;
}

/** S completions: pair p has the chosen one at 2p and the rejected one at 2p + 1; a labeled example has its own and its partner's. */
export interface CompletionSums {
  /** (S) log π, or another score. */
  sums: Tensor;
  /** (S) The same for pairs with all tokens weighted equally, if LD-DPO weights those of `sums`; default: `sums`. */
  whole?: Tensor;
  /** (S) log π_ref; 0 without a reference. */
  reference: Tensor;
  /** (S + 1) u32: offset of each completion's tokens. */
  offsets: Tensor;
  /** The columns that the losses read, by name. */
  columns?: Readonly<Record<string, Tensor>>;
}

export interface LossContext {
  /** Factor of the derivative, 1 / records of the optimizer step; default: 1 / records of this batch. */
  scale?: number;
  divergence?: Divergence;
  /** The lengths that define the divisor of token means; default: each completion's own length. */
  lengths?: Lengths;
}

/** Maximum number of records summed for a baseline: some drivers end longer loops without an error. */
const MOST_FOR_BASELINE = 32_768;

const perRecord: Grid = { threads: (p) => p.records };
/** Both sides. */
const perValue: Grid = { groups: (p) => 2 * p.records };
const kernelsOf = driverKernels({ forward: perRecord, evaluate: perRecord, rank_samples: perValue });

/**
 * The weighted sum of the terms → records (n, width), which live as long as the tape: read them before the backward
 * pass, or copy them. Their metrics are those of the first term; the loss is the sum. If `sums` needs a gradient,
 * `scale` times the derivative is added to it immediately (to `whole` for losses that read it), so that `tape.backward()` continues
 * from there.
 *
 * Throws a RangeError for shapes that do not match, for unknown options, for terms that cannot be combined, and for too many
 * records if a loss depends on the whole batch.
 */
export function completionLoss(
  tape: Tape,
  terms: readonly Term[],
  { sums, whole = sums, reference, offsets, columns = {} }: CompletionSums,
  { scale, divergence = REVERSE_KL, lengths }: LossContext = {},
): { records: Tensor } {
  const { loss: first } = terms[0];
  const unit = unitOf(first);
  const sequences = sums.length;
  const count = sequences / unit.completions;
  if (!Number.isInteger(count))
    throw new RangeError(`completionLoss: ${sums} must contain a whole number of pairs`);
  checkPerRow('completionLoss: sums', sums, sequences, 'f32');
  checkPerRow('completionLoss: whole', whole, sequences, 'f32');
  checkPerRow('completionLoss: reference', reference, sequences, 'f32');
  checkPerRow('completionLoss: offsets', offsets, sequences + 1, 'u32');
  const records = tape.empty([count, unit.width], 'records');
  const given = { columns, lengths: { example: count, sequence: sequences, row: undefined } };
  const score = own(DIVERGENCES, divergence.type);
  if (!score) throw new RangeError(`completionLoss: unknown divergence ${divergence.type}`);
  for (const [index, term] of terms.entries()) {
    const { loss } = term;
    if (unitOf(loss) !== unit) {
      throw new RangeError(`losses ${first.name} and ${loss.name} need different kinds of data`);
    }
    requireFewRecords(loss, count);
    const { params, buffers } = termParams(term, given, lengths);
    const slot = tape.recording ? tape.gradient(loss.whole ? whole : sums) : undefined;
    const all = {
      ...params,
      records: count,
      scale: scale ?? 1 / count,
      divergence_alpha: divergence.alpha,
      adds: index > 0 ? 1 : 0,
      accumulate: slot?.accumulate ?? 0,
    };
    const shader = joined(loss.shader, score.shader);
    const constants: Constants = loss.unit === 'example' ? { STRIDE: unit.completions } : {};
    const { forward, evaluate, rank_samples } = kernelsOf(shader);
    // A formula that compares sorted values has its own ranking kernel: lib/ranks.wgsl.
    const isRanked = reflect(shader).entries.has('rank_samples');
    const ranks = isRanked ? tape.empty([4, count], 'ranks', 'u32') : undefined;
    const read = { sums, reference, offsets, ...(loss.unit === 'pair' && { whole }) };
    if (ranks) rank_samples(tape.gpu, { ...read, ranked: ranks }, all);
    const common = { ...read, records, ...buffers, ...(ranks && { ranks }) };
    if (slot) forward(tape.gpu, { ...common, dsums: slot.grad }, all, constants);
    else evaluate(tape.gpu, common, all, constants);
  }
  return { records };
}

function requireFewRecords({ name, baseline }: Loss, count: number): void {
  if (!baseline || count <= MOST_FOR_BASELINE) return;
  throw new RangeError(
    `${name} computes its baseline from all ${count} records of a batch, but supports at most ${MOST_FOR_BASELINE}; use a smaller batch`,
  );
}

/** A term's parameters, and the buffers of the columns that it reads. Throws a RangeError for a mismatch. */
export function termParams(
  { loss, options: given, weight = 1 }: Term,
  { columns, lengths: expected }: GivenColumns,
  lengths?: Lengths,
): { params: Params; buffers: Buffers } {
  const options = lossOptions(loss, given);
  const divisor = DIVISORS[loss.over ?? 'batch'];
  const params = {
    weight,
    mean_tokens: lengths ? divisor({ ...lengths, options }) : 0,
    ...shaderNames(options),
  };
  const buffers = Object.entries(loss.reads ?? {}).map(([name, { per }]): [string, Tensor] => {
    const column = own(columns, name);
    if (!column) throw new RangeError(`${loss.name} reads the column ${name}, which is missing`);
    const wanted = expected[per];
    if (column.dtype !== 'f32' || (wanted !== undefined && column.length !== wanted)) {
      throw new RangeError(`${loss.name}: column ${name} must be (${wanted}) f32, got ${column}`);
    }
    return [name, column];
  });
  return { params, buffers: shaderNames(Object.fromEntries(buffers)) };
}

/** The kernels of a driver joined with a formula; made once per shader. */
export function driverKernels<Entry extends string>(
  grids: Record<Entry, Grid>,
): (shader: Shader) => Record<Entry, Kernel> {
  const known = new WeakMap<Shader, Record<Entry, Kernel>>();
  return (shader) => {
    const found = known.get(shader) ?? kernels(shader, grids);
    known.set(shader, found);
    return found;
  };
}

/** `oldLogprobs` is `old_logprobs` in a shader. */
function shaderNames<T>(named: Readonly<Record<string, T>>): Record<string, T> {
  const renamed = Object.entries(named).map(([name, value]): [string, T] => [
    name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    value,
  ]);
  return Object.fromEntries(renamed);
}
