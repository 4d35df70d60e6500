/**
 * A hash of examples that processes them piece by piece, so that a large data set is never converted to one text. Lists of
 * numbers and typed arrays give the same hash.
 */
import { ContentHash } from '../io/hash.ts';
import type { Columns, TokenizedExample } from './packing.ts';
import type { TokenIds } from './token-ids.ts';

/** Number of 32-bit words hashed at a time. */
const PIECE_WORDS = 2 ** 18;

/** Lower-case hex of token ids, targets and columns, in order. */
export async function hashOfExamples(examples: readonly TokenizedExample[]): Promise<string> {
  const words = new WordHash();
  for (const { prompt, completions, targets, columns } of examples) {
    const rest = targets || columns ? JSON.stringify([targets ?? null, plain(columns)]) : '';
    // Everything except the tokens is short or rare.
    words.add(Array.from(rest, (letter) => letter.codePointAt(0)!));
    words.add([completions.length]);
    for (const ids of [prompt, ...completions]) words.add(ids);
    if (words.isFull) await words.flush();
  }
  return words.digest();
}

/** Columns as lists instead of typed arrays, sorted by name. */
function plain(columns: Columns = {}): [string, number[]][] {
  return Object.entries(columns)
    .map(([name, values]): [string, number[]] => [name, Array.from(values)])
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Hashes lists of words, each preceded by its length. */
class WordHash {
  private readonly hash = new ContentHash();
  private piece = new Uint32Array(PIECE_WORDS);
  private filled = 0;

  get isFull(): boolean {
    return this.filled >= PIECE_WORDS / 2;
  }

  add(list: TokenIds): void {
    this.makeRoom(list.length + 1);
    this.piece[this.filled] = list.length;
    this.piece.set(list, this.filled + 1);
    this.filled += list.length + 1;
  }

  /** Hashes the words added since the last call. */
  async flush(): Promise<void> {
    await this.hash.add(this.piece.subarray(0, this.filled));
    this.filled = 0;
  }

  async digest(): Promise<string> {
    if (this.filled > 0) await this.flush();
    return this.hash.digest();
  }

  private makeRoom(count: number): void {
    if (this.filled + count <= this.piece.length) return;
    const longer = new Uint32Array(2 * (this.filled + count));
    longer.set(this.piece.subarray(0, this.filled));
    this.piece = longer;
  }
}
