/**
 * A table of logits on the device, trained like a model: gathers rows, computes log-probabilities, runs the loss with its
 * driver, the tape backwards, and the optimizer. The batch contains all completions, weighted by their probabilities, so
 * that a step follows the expected gradient without sampling.
 */

import {
  copyInto,
  type GatherIndex,
  type Gpu,
  gather,
  ParameterStore,
  Tape,
  Tensor,
  type TypedArray,
  weighGradient,
} from 'webalign/gpu';
import { tokenLogprobs } from 'webalign/logits';
import { batchLoss, type TrainingLoss } from 'webalign/losses';
import { Optimizer, resolveConfig, TRAINERS, type TrainingConfig } from 'webalign/trainers';
import { own } from '../../base/lookup.ts';
import { distribution, type Problem } from './problem.ts';

/** Completions by index, in the order that the loss expects, and the columns that it reads. */
export interface WeighedBatch {
  completions: readonly number[];
  /** The weight of each, instead of 1 / their number. */
  weights: readonly number[];
  /** By name: for each completion one number, or one per token. */
  columns: Readonly<Record<string, readonly (number | readonly number[])[]>>;
}

const LOGITS = 'logits';
/** Divisors that depend on lengths are part of the weights, because an expectation has no batch. */
const UNIT_LENGTHS = { batch: [1], step: [1] };

export class Table {
  private readonly store: ParameterStore;
  private readonly optimizer: Optimizer;
  /** For the concatenated tokens of all completions: their rows in the table, the tokens, log π_ref. */
  private readonly rows: GatherIndex;
  private readonly tokens: Tensor;
  private readonly reference: readonly number[];
  /** The positions of each completion's tokens among them. */
  private readonly placesOf: readonly (readonly number[])[];
  private readonly uploaded: Uploads;
  private steps = 0;

  constructor(
    private readonly gpu: Gpu,
    private readonly problem: Problem,
    logits: Float64Array,
    adam: Partial<Pick<TrainingConfig, 'adamBeta2'>> = {},
  ) {
    const { prefixes, vocabulary, reference } = problem;
    const shape = [prefixes.length, vocabulary];
    this.store = new ParameterStore(gpu, [{ name: LOGITS, shape, values: Float32Array.from(logits) }]);
    // Only Adam: weight decay or clipping would move a fixed point.
    this.optimizer = new Optimizer(
      gpu,
      this.store,
      resolveConfig(TRAINERS.rloo, { ...adam, maxGradNorm: 0, weightDecay: 0 }, null),
    );
    const { completions } = problem;
    this.uploaded = new Uploads(gpu);
    this.rows = this.uploaded.index(
      completions.flatMap(({ rows }) => rows),
      prefixes.length,
    );
    this.tokens = this.uploaded.whole(
      completions.flatMap(({ tokens }) => tokens),
      'tokens',
    );
    this.reference = distribution(problem, reference).tokens.flat();
    let place = 0;
    this.placesOf = completions.map(({ tokens }) => tokens.map(() => place++));
  }

  async logits(): Promise<Float32Array> {
    return (await this.store.read('values')).get(LOGITS)!;
  }

  /** Adds the gradient of the weighted loss to the store's. */
  private backward(loss: TrainingLoss, { completions, weights, columns }: WeighedBatch): void {
    const { gpu, problem } = this;
    const lengths = completions.map((y) => problem.completions[y].tokens.length);
    const perRow = (values: WeighedBatch['columns'][string]) =>
      lengths.flatMap((length, i) => {
        const given = values[i] ?? 0;
        return typeof given === 'number' ? new Array<number>(length).fill(given) : given;
      });
    const tape = Tape.forTraining(gpu);
    const uploaded = new Uploads(gpu);
    // Every completion is computed once, however often it occurs in the batch.
    const logits = gather(tape, this.store.get(LOGITS), this.rows);
    const { logprobs } = tokenLogprobs(tape, logits, this.tokens);
    const places = completions.flatMap((y) => this.placesOf[y] as number[]);
    const index = uploaded.index(places, this.tokens.length);
    const drawn = gather(tape, asColumn(tape, logprobs), index);
    const values = weighGradient(tape, drawn, uploaded.numbers(perRow(weights), 'weights'));
    let end = 0;
    const scored = {
      values,
      reference: uploaded.numbers(
        places.map((place) => this.reference[place]),
        'reference',
      ),
      offsets: uploaded.whole([0, ...lengths.map((length) => (end += length))], 'offsets'),
      columns: Object.fromEntries(
        Object.entries(loss.reads).map(([name, { per }]) => {
          const given = own(columns, name) ?? [];
          return [name, uploaded.numbers(per === 'row' ? perRow(given) : given.flat(), name)];
        }),
      ),
    };
    batchLoss(tape, loss, scored, { scale: 1, lengths: UNIT_LENGTHS });
    tape.backward();
    uploaded.release();
  }

  /** The gradient of the weighted loss with respect to the logits; the store's gradient is zero afterwards. */
  async gradient(loss: TrainingLoss, batch: WeighedBatch): Promise<Float32Array> {
    this.backward(loss, batch);
    const gradient = (await this.store.read('gradients')).get(LOGITS)!;
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
    this.uploaded.release();
    this.optimizer.dispose();
    this.store.dispose();
  }
}

/** x (n) → (n, 1), a table with rows of one number. */
function asColumn(tape: Tape, x: Tensor): Tensor {
  const { gpu } = tape;
  const y = tape.empty([x.length, 1], x.label);
  copyInto(gpu, x, y, 0);
  const backward = () => {
    const slot = tape.gradient(x);
    if (slot) copyInto(gpu, y.grad!, slot.grad, slot.accumulate);
  };
  tape.record({ inputs: [x], outputs: [y], reads: [], backward });
  return y;
}

/** Tensors with host data that are released together. */
class Uploads {
  private readonly tensors: Tensor[] = [];

  constructor(private readonly gpu: Gpu) {}

  numbers(values: readonly number[], label: string): Tensor {
    return this.keep(Float32Array.from(values), label);
  }

  whole(values: readonly number[], label: string): Tensor {
    return this.keep(Uint32Array.from(values), label);
  }

  /** An index of a table's rows, and its inverse: for every row, the positions in the index that read it. */
  index(rows: readonly number[], count: number): GatherIndex {
    const readers = Array.from({ length: count }, (): number[] => []);
    rows.forEach((row, place) => {
      readers[row].push(place);
    });
    let end = 0;
    return {
      indices: this.whole(rows, 'rows'),
      offsets: this.whole([0, ...readers.map(({ length }) => (end += length))], 'readers of a row'),
      entries: this.whole(readers.flat(), 'readers'),
    };
  }

  release(): void {
    for (const tensor of this.tensors) this.gpu.pool.release(tensor);
  }

  private keep(values: TypedArray, label: string): Tensor {
    const tensor = Tensor.from(this.gpu, values, [values.length], label);
    this.tensors.push(tensor);
    return tensor;
  }
}
