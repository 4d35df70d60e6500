/** Token ids, and compact storage for those of a data set: a few long 32-bit arrays instead of a list per text. */

/** A list of numbers or a typed array. */
export interface TokenIds extends ArrayLike<number>, Iterable<number> {
  slice(start?: number, end?: number): TokenIds;
  /** The indices, from 0. */
  keys(): IterableIterator<number>;
  at(place: number): number | undefined;
}

/** Capacity of the first array; each further one has twice the capacity, up to the maximum. */
const FIRST_IDS = 2 ** 10;
const MOST_IDS = 2 ** 20;

export class TokenStore {
  private array = new Uint32Array(0);
  private filled = 0;
  private nextLength = FIRST_IDS;

  /** Copies the ids into the store and returns a view of its memory. */
  readonly keep = (ids: ArrayLike<number>): Uint32Array => {
    if (this.filled + ids.length > this.array.length) {
      this.array = new Uint32Array(Math.max(this.nextLength, ids.length));
      this.filled = 0;
      this.nextLength = Math.min(2 * this.nextLength, MOST_IDS);
    }
    const start = this.filled;
    this.array.set(ids, start);
    this.filled += ids.length;
    return this.array.subarray(start, this.filled);
  };
}
