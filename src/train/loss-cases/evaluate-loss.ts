/**
 * A loss on plain numbers: log-probabilities in, the loss of each row and its derivative out, computed by the training
 * kernels. For trying a formula, and for comparing with another implementation. Runs no model.
 */
import type { Gpu } from '../../gpu/device.ts';
import { batchLoss } from '../../losses/batch-loss.ts';
import { completionLoss } from '../../losses/completion-loss.ts';
import type { TrainingLoss } from '../../losses/family.ts';
import { recordMeans, valuesOf, withMargins } from '../../losses/units.ts';
import { Tape } from '../../tensor/tape.ts';
import { Tensor } from '../../tensor/tensor.ts';
import { type CaseColumns, columnsOfCase, type LossCase, lossOfCase, rowsOfCase } from './loss-case.ts';
import { columnsOfTokens, type TokenColumns, type TokenLossCase } from './token-case.ts';

/**
 * One number per row. Derivatives are of the sum of all rows' losses, not of their mean, so of the row's own loss, except for
 * `aot_unpaired`, whose rows share their losses.
 */
export interface LossValues {
  loss: number[];
  meanLoss: number;
  /** For pairs. */
  dPolicyChosen?: number[];
  dPolicyRejected?: number[];
  /** For examples. */
  dPolicy?: number[];
  /** Means with TRL's names. */
  metrics: Record<string, number>;
  /** Inputs that are not used, or that are missing and count as 0. */
  notices: string[];
}

/** For a loss on tokens: the loss of the batch of its completions, and the derivative to each token's log π. */
export interface TokenLossValues extends Pick<LossValues, 'metrics' | 'notices'> {
  loss: number;
  dLogp: number[];
}

/** Runs a case; `where` names it in errors. Throws an `InputError` for an invalid one. */
export async function evaluateLoss(gpu: Gpu, input: TokenLossCase, where?: string): Promise<TokenLossValues>;
export async function evaluateLoss(gpu: Gpu, input: LossCase, where?: string): Promise<LossValues>;
export async function evaluateLoss(
  gpu: Gpu,
  input: LossCase | TokenLossCase,
  where?: string,
): Promise<LossValues | TokenLossValues>;
export async function evaluateLoss(
  gpu: Gpu,
  input: LossCase | TokenLossCase,
  where = 'case',
): Promise<LossValues | TokenLossValues> {
  const notices: string[] = [];
  const loss = lossOfCase(input, where, notices);
  rowsOfCase(input, loss, where);
  if (loss.about === 'token') {
    const columns = columnsOfTokens(input as TokenLossCase, loss, where, notices);
    return { ...(await runTokens(gpu, loss, columns)), notices };
  }
  const { width, completions } = loss.unit;
  const { table, slopes } = await run(gpu, loss, columnsOfCase(input, loss, where, notices));
  const losses = [...table].filter((_, i) => i % width === 0);
  const side = (first: number) => [...slopes].filter((_, s) => s % completions === first);
  const pairs = loss.about === 'pair';
  return {
    loss: losses,
    meanLoss: losses.reduce((sum, value) => sum + value, 0) / losses.length,
    ...(pairs ? { dPolicyChosen: side(0), dPolicyRejected: side(1) } : { dPolicy: side(0) }),
    metrics: withMargins(valuesOf(recordMeans(loss.metrics, table, width))),
    notices,
  };
}

/** The loss of a batch with only these completions. */
async function runTokens(
  gpu: Gpu,
  loss: TrainingLoss,
  { logprobs, reference, lengths, columns, places }: TokenColumns,
): Promise<Omit<TokenLossValues, 'notices'>> {
  const held: Tensor[] = [];
  const tensor = (values: Float32Array | Uint32Array, label: string) => {
    const made = Tensor.from(gpu, values, [values.length], label);
    held.push(made);
    return made;
  };
  const starts = new Uint32Array(lengths.length + 1);
  for (const [s, length] of lengths.entries()) starts[s + 1] = starts[s] + length;
  const values = tensor(Float32Array.from(logprobs), 'log-probabilities');
  values.requiresGrad = true;
  const read = Object.entries(columns).map(([name, all]) => [name, tensor(Float32Array.from(all), name)]);
  const scored = {
    values,
    reference: tensor(Float32Array.from(reference), 'reference'),
    offsets: tensor(starts, 'offsets'),
    columns: Object.fromEntries(read) as Record<string, Tensor>,
  };
  const tape = Tape.forTraining(gpu);
  const share = { scale: 1 / lengths.length, lengths: { batch: lengths, step: lengths } };
  const { records } = batchLoss(tape, loss, scored, share);
  const [table, slopes] = await Promise.all([
    records.toArray(gpu),
    (values.grad as unknown as Tensor).toArray(gpu),
  ]);
  tape.backward();
  for (const each of held) gpu.pool.release(each);
  const { loss: mean = Number.NaN, ...metrics } = valuesOf(recordMeans(loss.metrics, table, loss.unit.width));
  const dLogp = new Array<number>(places.length).fill(0);
  for (const [row, place] of places.entries()) dLogp[place] = slopes[row];
  return { loss: mean, dLogp, metrics: { loss: mean, ...metrics } };
}

/** The records, and the derivative of the sum of their losses. */
async function run(gpu: Gpu, { terms, divergence }: TrainingLoss, columns: CaseColumns) {
  const starts = new Uint32Array(columns.tokens.length + 1);
  for (const [s, count] of columns.tokens.entries()) starts[s + 1] = starts[s] + count;
  const tensor = (values: Float32Array | Uint32Array, label: string) =>
    Tensor.from(gpu, values, [values.length], label);
  const completions = {
    sums: tensor(Float32Array.from(columns.sums), 'sums'),
    reference: tensor(Float32Array.from(columns.reference), 'reference'),
    offsets: tensor(starts, 'offsets'),
  };
  const labels = columns.labels && tensor(Float32Array.from(columns.labels), 'labels');
  const margins = columns.margins && tensor(Float32Array.from(columns.margins), 'margins');
  completions.sums.requiresGrad = true;
  const tape = Tape.forTraining(gpu);
  const { records } = completionLoss(
    tape,
    terms,
    {
      ...completions,
      columns: { ...(labels && { desirable: labels }), ...(margins && { margin: margins }) },
    },
    { scale: 1, divergence },
  );
  const [table, slopes] = await Promise.all([
    records.toArray(gpu),
    (completions.sums.grad as unknown as Tensor).toArray(gpu),
  ]);
  tape.backward();
  for (const each of [...Object.values(completions), labels, margins]) if (each) gpu.pool.release(each);
  return { table, slopes };
}
