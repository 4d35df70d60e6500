/** Token ids, and the memory of a data set's: a few long arrays of 32 bits in place of a list for each text. */

/** A list of numbers, or a view of typed ones. */
export interface TokenIds extends ArrayLike<number>, Iterable<number> {
  slice(start?: number, end?: number): TokenIds;
  /** The places, from 0 on. */
  keys(): IterableIterator<number>;
  at(place: number): number | undefined;
}

/** Ids of the first array; the next are twice as long each, up to the most. */
const FIRST_IDS = 2 ** 10;
const MOST_IDS = 2 ** 20;

export class TokenStore {
  private array = new Uint32Array(0);
  private filled = 0;
  private nextLength = FIRST_IDS;

  /** The same ids as a view of the store's memory. */
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
