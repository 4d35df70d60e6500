/**
 * The cache rows of prompts during generation: the next prompts get rows as soon as enough are free, and lose them when their
 * last sequence has ended. Pure: runs nothing on the device.
 */

/** Prompts that are computed together, in adjacent rows from `from` on. */
export interface PromptChunk {
  /** The index of the first one. */
  first: number;
  count: number;
  from: number;
}

interface Span {
  from: number;
  end: number;
}

/** Prompts are computed when this fraction of their rows is free: each pass over few prompts costs as much as a step. */
const SHARE_TO_ADMIT = 8;

export class PromptRows {
  /** Number of prompts that have had rows. */
  admitted = 0;
  private free: Span[];
  private readonly spans = new Map<number, Span>();
  /** For each prompt with rows, its sequences that have not ended. */
  private readonly open = new Map<number, number>();

  /** `rows`: at least as many as the longest prompt has tokens. A chunk begins at a multiple of `alignment`. */
  constructor(
    private readonly lengths: readonly number[],
    private readonly copies: number,
    private readonly rows: number,
    private readonly alignment: number,
  ) {
    this.free = [{ from: 0, end: rows }];
  }

  /** Number of sequences whose prompts have had rows. */
  get ready(): number {
    return this.admitted * this.copies;
  }

  /** Gives rows to as many of the next prompts as fit. Unless rows are `urgent`, waits until enough of them are free. */
  admit(urgent: boolean): PromptChunk[] {
    const free = this.free.reduce((sum, { from, end }) => sum + end - from, 0);
    if (!urgent && free * SHARE_TO_ADMIT < this.rows) return [];
    const chunks: PromptChunk[] = [];
    for (let chunk = this.nextChunk(); chunk; chunk = this.nextChunk()) chunks.push(chunk);
    return chunks;
  }

  /** Releases the rows of a sequence's prompt if it was the last one. */
  end(sequence: number): void {
    const prompt = Math.floor(sequence / this.copies);
    const open = this.open.get(prompt)! - 1;
    this.open.set(prompt, open);
    if (open > 0) return;
    this.open.delete(prompt);
    this.free.push(this.spans.get(prompt)!);
    this.spans.delete(prompt);
    this.free = merged(this.free);
  }

  private nextChunk(): PromptChunk | undefined {
    const length = this.lengths[this.admitted];
    if (length === undefined) return undefined;
    const start = ({ from }: Span) => Math.ceil(from / this.alignment) * this.alignment;
    const span = this.free.find((each) => start(each) + length <= each.end);
    if (!span) return undefined;
    const chunk = { first: this.admitted, count: 0, from: start(span) };
    let at = chunk.from;
    for (;;) {
      const next = this.lengths[this.admitted];
      if (next === undefined || at + next > span.end) break;
      this.spans.set(this.admitted, { from: at, end: at + next });
      this.open.set(this.admitted, this.copies);
      this.admitted++;
      chunk.count++;
      at += next;
    }
    const left = [
      { from: span.from, end: chunk.from },
      { from: at, end: span.end },
    ].filter(({ from, end }) => end > from);
    this.free.splice(this.free.indexOf(span), 1, ...left);
    return chunk;
  }
}

/** In ascending order, adjacent ones joined. */
function merged(spans: readonly Span[]): Span[] {
  const result: Span[] = [];
  for (const { from, end } of [...spans].sort((a, b) => a.from - b.from)) {
    const last = result.at(-1);
    if (last?.end === from) last.end = end;
    else result.push({ from, end });
  }
  return result;
}
