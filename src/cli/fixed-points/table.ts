/**
 * A table of logits on the device, trained as a model is: rows are gathered, log-probabilities taken, the loss run by its
 * driver, the tape run backwards, the optimizer run. The batch is all completions, each weighed by how often it would be
 * drawn, so that a step follows the expected gradient and nothing is sampled.
 */
import { own } from '../../base/lookup.ts';
import type { Gpu } from '../../gpu/device.ts';
import { batchLoss } from '../../losses/batch-loss.ts';
import type { TrainingLoss } from '../../losses/families.ts';
import { gather } from '../../ops/gather.ts';
import { tokenLogprobs } from '../../ops/token-logprob.ts';
import { weighGradient } from '../../ops/weigh-gradient.ts';
import { ParameterStore } from '../../tensor/parameters.ts';
import { Tape } from '../../tensor/tape.ts';
import { Tensor, type TypedArray } from '../../tensor/tensor.ts';
import { resolveConfig, TRAINERS } from '../../train/config.ts';
import { Optimizer } from '../../train/optimizer.ts';
import { distribution, type Problem } from './problem.ts';

/** Completions by their number, in the order that the loss expects them, and what it reads of each. */
export interface WeighedBatch {
  completions: readonly number[];
  /** How much each counts, in place of 1 / their number. */
  weights: readonly number[];
  /** By name: for each completion a number, or one for each of its tokens. */
  columns: Readonly<Record<string, readonly (number | readonly number[])[]>>;
}

const LOGITS = 'logits';
/** Divisors that depend on lengths are in the weights, since an expectation has no batch. */
const UNIT_LENGTHS = { batch: [1], step: [1] };

export class Table {
  private readonly store: ParameterStore;
  private readonly optimizer: Optimizer;
  private readonly referenceTokens: readonly (readonly number[])[];
  private steps = 0;

  constructor(
    private readonly gpu: Gpu,
    private readonly problem: Problem,
    logits: Float64Array,
  ) {
    const { prefixes, vocabulary, reference } = problem;
    const shape = [prefixes.length, vocabulary];
    this.store = new ParameterStore(gpu, [{ name: LOGITS, shape, values: Float32Array.from(logits) }]);
    // Adam's own defaults, and nothing else that moves a fixed point.
    this.optimizer = new Optimizer(
      gpu,
      this.store,
      resolveConfig(TRAINERS.rloo, { maxGradNorm: 0, weightDecay: 0 }, null),
    );
    this.referenceTokens = distribution(problem, reference).tokens;
  }

  async logits(): Promise<Float32Array> {
    return (await this.store.read('values')).get(LOGITS) as Float32Array;
  }

  /** Adds the gradient of the weighed loss to the store's. */
  private backward(loss: TrainingLoss, { completions, weights, columns }: WeighedBatch): void {
    const { gpu, problem, referenceTokens } = this;
    const all = completions.map((y) => problem.completions[y] as Problem['completions'][number]);
    const perRow = (values: WeighedBatch['columns'][string]) =>
      all.flatMap(({ tokens }, i) => {
        const own = values[i] ?? 0;
        return typeof own === 'number' ? tokens.map(() => own) : own;
      });
    const uploaded: Tensor[] = [];
    const upload = (values: TypedArray, label: string) => {
      const tensor = Tensor.from(gpu, values, [values.length], label);
      uploaded.push(tensor);
      return tensor;
    };
    const numbers = (values: readonly number[], label: string) => upload(Float32Array.from(values), label);
    const whole = (values: readonly number[], label: string) => upload(Uint32Array.from(values), label);
    const rows = all.flatMap(({ rows }) => rows);
    const { offsets, entries } = inverse(rows, problem.prefixes.length);
    const index = {
      indices: whole(rows, 'rows'),
      offsets: whole(offsets, 'readers of a row'),
      entries: whole(entries, 'readers'),
    };
    const targets = whole(
      all.flatMap(({ tokens }) => tokens),
      'tokens',
    );
    let end = 0;
    const starts = [0, ...all.map(({ tokens }) => (end += tokens.length))];

    const tape = Tape.forTraining(gpu);
    const logits = gather(tape, this.store.get(LOGITS), index);
    const { logprobs, stats } = tokenLogprobs(tape, logits, targets);
    const scored = {
      values: weighGradient(tape, logprobs, numbers(perRow(weights), 'weights')),
      stats,
      reference: numbers(
        completions.flatMap((y) => referenceTokens[y] as readonly number[]),
        'reference',
      ),
      offsets: whole(starts, 'offsets'),
      columns: Object.fromEntries(
        Object.entries(loss.reads).map(([name, { per }]) => {
          const values = own(columns, name) ?? [];
          return [name, numbers(per === 'row' ? perRow(values) : (values.flat() as number[]), name)];
        }),
      ),
    };
    batchLoss(tape, loss, scored, { scale: 1, lengths: UNIT_LENGTHS });
    tape.backward();
    for (const tensor of uploaded) gpu.pool.release(tensor);
  }

  /** The gradient of the weighed loss by the logits; none is left behind. */
  async gradient(loss: TrainingLoss, batch: WeighedBatch): Promise<Float32Array> {
    this.backward(loss, batch);
    const gradient = (await this.store.read('gradients')).get(LOGITS) as Float32Array;
    this.store.zeroGradients();
    return gradient;
  }

  /** One step of Adam; resolves to the new logits. */
  async step(loss: TrainingLoss, batch: WeighedBatch, learningRate: number): Promise<Float32Array> {
    this.backward(loss, batch);
    this.steps++;
    const norm = this.optimizer.step(this.steps, learningRate);
    const [logits] = await Promise.all([this.logits(), norm]);
    return logits;
  }

  dispose(): void {
    this.optimizer.dispose();
    this.store.dispose();
  }
}

/** For every row of a table, which places of an index read it. */
function inverse(rows: readonly number[], count: number): { offsets: number[]; entries: number[] } {
  const readers = Array.from({ length: count }, (): number[] => []);
  rows.forEach((row, place) => {
    (readers[row] as number[]).push(place);
  });
  let end = 0;
  return { offsets: [0, ...readers.map((each) => (end += each.length))], entries: readers.flat() };
}
