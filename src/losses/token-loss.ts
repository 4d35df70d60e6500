/**
 * Runs losses on tokens, such as policy gradients: from token log-probabilities to one record per completion, and to
 * the derivative of every token. Two passes, so that a formula can use sums over a whole completion. Contains no formula.
 */
import { isOwn } from '../base/lookup.ts';
import type { Buffers } from '../gpu/kernel.ts';
import { threadsOfRow } from '../gpu/loops.ts';
import { reflect } from '../gpu/reflect.ts';
import type { Shader } from '../gpu/shader.ts';
import { checkPerRow } from '../ops/logits.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { driverKernels, type LossContext, type Term, termParams } from './completion-loss.ts';
import { unitOf } from './units.ts';

/** S completions with R tokens in total. */
export interface TokenRows {
  /** (R) log π. */
  logprobs: Tensor;
  /** (R) log π_ref; 0 without a reference. */
  reference: Tensor;
  /** (S + 1) u32: offset of each completion's tokens. */
  offsets: Tensor;
  /** The columns that the losses read, by name. */
  columns?: Readonly<Record<string, Tensor>>;
}

/** Number of values that a formula can sum over a completion. */
const SUMMANDS = 4;

const aCompletion = { groups: (p: Readonly<Record<string, number>>) => p.records };
const kernelsOf = driverKernels({ gather_sums: aCompletion, forward: aCompletion, evaluate: aCompletion });

/**
 * The weighted sum of the terms → records (S, 8), which live as long as the tape. Their metrics are those of the first
 * term; the loss is the sum. If `logprobs` needs a gradient, `scale` times the derivative is added to it immediately.
 *
 * Throws a RangeError for shapes that do not match, for unknown options, and for a term that is not a loss on tokens.
 */
export function tokenLoss(
  tape: Tape,
  terms: readonly Term[],
  { logprobs, reference, offsets, columns = {} }: TokenRows,
  { scale, lengths }: Omit<LossContext, 'divergence'> = {},
): { records: Tensor } {
  const { gpu } = tape;
  const rows = logprobs.length;
  const count = offsets.length - 1;
  checkPerRow('tokenLoss: logprobs', logprobs, rows, 'f32');
  checkPerRow('tokenLoss: reference', reference, rows, 'f32');
  checkPerRow('tokenLoss: offsets', offsets, count + 1, 'u32');
  const unit = unitOf({ unit: 'token' });
  const records = tape.empty([count, unit.width], 'records');
  const sums = tape.empty([count, SUMMANDS], 'completion sums');
  const slot = tape.recording ? tape.gradient(logprobs) : undefined;
  const given = { columns, lengths: { example: undefined, sequence: count, row: rows } };
  const constants = { WORKGROUP: threadsOfRow(gpu, rows, 1) };
  for (const [index, term] of terms.entries()) {
    const { loss } = term;
    if (unitOf(loss) !== unit)
      throw new RangeError(`loss ${loss.name} works on a ${loss.unit}, not on tokens`);
    const { params, buffers } = termParams(term, given, lengths);
    const adds = index > 0 ? 1 : 0;
    const all = {
      ...params,
      records: count,
      scale: scale ?? 1 / count,
      adds,
      accumulate: slot?.accumulate || adds,
    };
    const { gather_sums, forward, evaluate } = kernelsOf(loss.shader);
    const read = { logprobs, reference, offsets };
    const [first, second] = ['gather_sums', 'evaluate'].map((entry) => readBy(entry, loss.shader, buffers));
    requireRead(loss.name, buffers, { ...first, ...second });
    gather_sums(gpu, { ...read, ...first, sums }, all, constants);
    const written = { ...read, ...second, saved_sums: sums, records };
    if (slot) forward(gpu, { ...written, dlogprobs: slot.grad }, all, constants);
    else evaluate(gpu, written, all, constants);
  }
  return { records };
}

/** The columns that a pass reads. */
function readBy(entry: string, shader: Shader, columns: Buffers): Buffers {
  const { bindings = [] } = reflect(shader).entries.get(entry) ?? {};
  const read = new Set(bindings.map(({ name }) => name));
  return Object.fromEntries(Object.entries(columns).filter(([name]) => read.has(name)));
}

function requireRead(loss: string, columns: Buffers, read: Buffers): void {
  const idle = Object.keys(columns).filter((name) => !isOwn(read, name));
  if (idle.length > 0) throw new RangeError(`${loss}: no pass of its shader reads ${idle.join(', ')}`);
}
