/**
 * Runs losses on pairs and on completions: from sums of token log-probabilities, or from other scores, to a record for
 * each pair or completion, and to the derivative that starts the backward pass. Serves every descriptor of the catalogue
 * and those of users; knows no formula.
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
  /** Its options; defaults for what is left out. */
  options?: Readonly<Record<string, GivenOption>>;
  /** 1 where it is left out. */
  weight?: number;
}

/** Lengths of the learned completions of a micro-batch, and of the optimizer step and rollout batch it is a part of. */
export type Lengths = Omit<DivisorContext, 'options'>;

/** The columns at hand, and how long one of each scope must be; unknown where it is undefined. */
export interface GivenColumns {
  columns: Readonly<Record<string, Tensor>>;
  lengths: Readonly<Record<ColumnScope, number | undefined>>;
}

/** Of S completions: of pair p 2p the chosen, 2p + 1 the rejected; of a labelled example its own and its partner's. */
export interface CompletionSums {
  /** (S) log π, or another score. */
  sums: Tensor;
  /** (S) The same of pairs with every token alike, where LD-DPO weighs those of `sums`; `sums` where it is left out. */
  whole?: Tensor;
  /** (S) log π_ref; 0 without a reference. */
  reference: Tensor;
  /** (S + 1) u32: where each completion's tokens start. */
  offsets: Tensor;
  /** What the losses read beside, by name. */
  columns?: Readonly<Record<string, Tensor>>;
}

export interface LossContext {
  /** Of the derivative: 1 / records of the optimizer step. 1 / records of these where it is left out. */
  scale?: number;
  divergence?: Divergence;
  /** From which token means get their divisor; each completion's own length where they are left out. */
  lengths?: Lengths;
}

/** Records over which a baseline may be summed: some drivers end longer loops without a word. */
const MOST_FOR_BASELINE = 32_768;

const perRecord: Grid = { threads: (p) => p.records as number };
/** Of both sides. */
const perValue: Grid = { groups: (p) => 2 * (p.records as number) };
const kernelsOf = driverKernels({ forward: perRecord, evaluate: perRecord, rank_samples: perValue });

/**
 * The weighted sum of the terms → records (n, width), which live as long as the tape: read them before the backward
 * pass, or copy them. Their figures are those of the first term, the loss is the sum. Where `sums` needs a gradient,
 * `scale` times the derivative goes into it at once (into `whole` for losses of that), so that `tape.backward()` continues
 * from there.
 *
 * Throws a RangeError for shapes that do not fit, for unknown options, for terms that do not go together, and for more
 * records than one that looks at the whole batch can take.
 */
export function completionLoss(
  tape: Tape,
  terms: readonly Term[],
  { sums, whole = sums, reference, offsets, columns = {} }: CompletionSums,
  { scale, divergence = REVERSE_KL, lengths }: LossContext = {},
): { records: Tensor } {
  const { loss: first } = terms[0] as Term;
  const unit = unitOf(first);
  const sequences = sums.length;
  const count = sequences / unit.completions;
  if (!Number.isInteger(count))
    throw new RangeError(`completionLoss: ${sums} holds no whole number of pairs`);
  checkPerRow('completionLoss: sums', sums, sequences, 'f32');
  checkPerRow('completionLoss: whole', whole, sequences, 'f32');
  checkPerRow('completionLoss: reference', reference, sequences, 'f32');
  checkPerRow('completionLoss: offsets', offsets, sequences + 1, 'u32');
  const records = tape.empty([count, unit.width], 'records');
  const given = { columns, lengths: { example: count, sequence: sequences, row: undefined } };
  const score = own(DIVERGENCES, divergence.type);
  if (!score) throw new RangeError(`completionLoss: no divergence is called ${divergence.type}`);
  for (const [index, term] of terms.entries()) {
    const { loss } = term;
    if (unitOf(loss) !== unit) {
      throw new RangeError(`losses ${first.name} and ${loss.name} do not take the same data`);
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
    // A formula that compares sorted values has a kernel that ranks them: lib/ranks.wgsl.
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
    `${name} takes its baseline from all ${count} records of a batch, and from ${MOST_FOR_BASELINE} at most; use a smaller batch`,
  );
}

/** Of a term: its parameters, and the buffers of the columns that it reads. Throws a RangeError for what does not fit. */
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
      throw new RangeError(`${loss.name}: column ${name} must be (${wanted}) f32, not ${column}`);
    }
    return [name, column];
  });
  return { params, buffers: shaderNames(Object.fromEntries(buffers)) };
}

/** The kernels of a driver with any formula on it; made once a shader. */
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
