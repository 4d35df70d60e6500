/**
 * The reference's log-probabilities of a list of examples, scored in batches. The batches depend only on
 * the list, so that values do not depend on the order of requests.
 */
import type { TokenizedExample } from '../../data/packing.ts';

export class ReferenceValues {
  /** Of all completion tokens, one example after the other. */
  values: Float32Array;
  private readonly places = new Map<TokenizedExample, number>();
  /** Offsets of each example's values, and the end of the last. */
  private readonly starts: Float64Array;
  private readonly scored: Uint8Array;

  constructor(
    readonly examples: readonly TokenizedExample[],
    private readonly batchSize: number,
  ) {
    this.starts = new Float64Array(examples.length + 1);
    for (const [i, example] of examples.entries()) {
      this.places.set(example, i);
      const tokens = example.completions.reduce((n, { length }) => n + length, 0);
      this.starts[i + 1] = this.starts[i] + tokens;
    }
    this.values = new Float32Array(this.starts[examples.length]);
    this.scored = new Uint8Array(Math.ceil(examples.length / batchSize));
  }

  get isComplete(): boolean {
    return !this.scored.includes(0);
  }

  has(example: TokenizedExample): boolean {
    return this.places.has(example);
  }

  /** The values of an example; undefined if it was not scored. */
  of(example: TokenizedExample): Float32Array | undefined {
    const place = this.places.get(example);
    if (place === undefined || !this.scored[Math.floor(place / this.batchSize)]) return undefined;
    return this.values.subarray(this.starts[place], this.starts[place + 1]);
  }

  /** The batches that contain these examples and are not scored yet, in order. */
  open(examples: readonly TokenizedExample[]): number[] {
    const batches = new Set<number>();
    for (const example of examples) {
      const place = this.places.get(example);
      if (place !== undefined) batches.add(Math.floor(place / this.batchSize));
    }
    return [...batches].filter((batch) => !this.scored[batch]).sort((a, b) => a - b);
  }

  batch(index: number): readonly TokenizedExample[] {
    return this.examples.slice(index * this.batchSize, (index + 1) * this.batchSize);
  }

  fill(index: number, values: Float32Array): void {
    this.values.set(values, this.starts[index * this.batchSize]);
    this.scored[index] = 1;
  }

  /** Sets all values at once. Returns whether their number is right. */
  fillAll(values: Float32Array | undefined): boolean {
    if (values?.length !== this.values.length) return false;
    this.values = values;
    this.scored.fill(1);
    return true;
  }
}
