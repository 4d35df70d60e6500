/**
 * Labels by a judge: a function, a service or a person that decides which of two completions is better. Answers are stored
 * in the checkpoint before they are used, so that a person's answers are not lost when a run ends.
 */
import { counted } from '../base/counted.ts';
import type { Message } from '../data/chat-template.ts';
import { InputError, quote } from '../io/errors.ts';
import { isObject, type Json } from '../io/json.ts';
import { rolloutMetrics } from './earnings.ts';
import type { MakeOptions } from './experience.ts';
import type { Better, PairLabeler, PairLabels } from './labels.ts';
import type { Samples } from './sampling.ts';

/** Two completions of a prompt. */
export interface JudgedPair {
  prompt: string | readonly Message[];
  completions: readonly [first: string | readonly Message[], second: string | readonly Message[]];
  /** The other columns of the prompt's row. */
  columns: Readonly<Record<string, Json>>;
}

export interface JudgeOptions {
  /** The optimizer step that uses the pairs. */
  step: number;
  /** Aborts when the run is stopped. */
  signal: AbortSignal | undefined;
}

/** For each pair the index of the better completion, 0 or 1, or −1 if undecided. May be slow. */
export type Judge = (
  pairs: readonly JudgedPair[],
  options: JudgeOptions,
) => readonly number[] | Promise<readonly number[]>;

/** An answer with the token ids of its pair: answers about other completions are not used. */
interface Answer {
  ids: [prompt: number[], first: number[], second: number[]];
  better: Better;
}

export class JudgeLabels implements PairLabeler {
  readonly identity: unknown;
  /** Answers for the current batch, by the ids of the pair. */
  private answers = new Map<string, Answer>();

  /**
   * The judge gets `batchSize` pairs at a time; default: the whole batch. Throws {@link InputError} unless it is a positive
   * integer.
   */
  constructor(
    private readonly judge: Judge,
    private readonly batchSize?: number,
  ) {
    if (batchSize !== undefined && !(Number.isSafeInteger(batchSize) && batchSize >= 1))
      throw new InputError('judge', `judgeBatchSize is ${batchSize}`, 'Give a whole number from 1');
    this.identity = ['judge', judge.name];
  }

  async label(samples: Samples, options: MakeOptions): Promise<PairLabels> {
    const { prompts, examples, completions } = samples;
    const all = examples.map(({ prompt, completions: [first = [], second = []] }): Answer['ids'] => [
      [...prompt],
      [...first],
      [...second],
    ]);
    const keys = all.map((ids) => JSON.stringify(ids));
    this.answers = new Map([...this.answers].filter(([key]) => keys.includes(key)));
    // Identical pairs get the same answer.
    const open = keys.flatMap((key, p) => (this.answers.has(key) || keys.indexOf(key) < p ? [] : [p]));
    const size = this.batchSize ?? Math.max(1, open.length);
    for (let start = 0; start < open.length; start += size) {
      const asked = open.slice(start, start + size);
      const pairs = asked.map((p) => ({
        prompt: prompts[p]?.row.prompt ?? '',
        completions: [completions[2 * p] ?? '', completions[2 * p + 1] ?? ''] as const,
        columns: prompts[p]?.row.columns ?? {},
      }));
      const answers = await this.ask(pairs, options);
      for (const [i, p] of asked.entries())
        this.answers.set(keys[p], { ids: all[p], better: answers[i] as Better });
      await options.keep();
    }
    const better = keys.map((key) => this.answers.get(key)!.better);
    const rewards = completions.map(() => null);
    const rated = { rewards, byFunction: new Map(), metrics: {} };
    const { frac_reward_zero_std: _, reward_std: __, ...metrics } = rolloutMetrics(samples, rated, 2);
    return { better, rewards, metrics };
  }

  save(): Json | undefined {
    return this.answers.size > 0 ? ([...this.answers.values()] as unknown as Json) : undefined;
  }

  /** The hash detects corruption, not tampering, so the answers are validated too. */
  restore(saved: Json): void {
    if (!Array.isArray(saved) || !saved.every(isAnswer))
      throw new InputError('checkpoint', 'has no answers of a judge', 'Start again');
    this.answers = new Map(saved.map((answer) => [JSON.stringify(answer.ids), answer]));
  }

  private async ask(
    pairs: readonly JudgedPair[],
    { step, signal }: JudgeOptions,
  ): Promise<readonly number[]> {
    const asking = async () => this.judge(pairs, { step, signal });
    const answers = await untilAborted(asking(), signal).catch((cause: unknown) => {
      if (signal?.aborted) throw cause;
      const what = `threw ${quote(cause instanceof Error ? cause.message : String(cause))}`;
      throw new InputError('judge', what, 'Fix the function', { cause });
    });
    const wayOut = 'Return 0 or 1 for each pair, the index of the better completion, or −1 if undecided';
    if (!Array.isArray(answers)) throw new InputError('judge', `returned ${quote(answers)}`, wayOut);
    if (answers.length !== pairs.length)
      throw new InputError(
        'judge',
        `returned ${counted(answers.length, 'answer')} for ${counted(pairs.length, 'pair')}`,
        wayOut,
      );
    const wrong = answers.findIndex((answer) => !isBetter(answer));
    if (wrong >= 0)
      throw new InputError('judge', `returned ${quote(answers[wrong])} for pair ${wrong + 1}`, wayOut);
    return answers;
  }
}

const isBetter = (value: unknown): value is Better => value === 0 || value === 1 || value === -1;

function isAnswer(value: unknown): value is Answer & { [field: string]: Json } {
  if (!isObject(value) || !isBetter(value.better)) return false;
  const { ids } = value;
  const isIds = (list: unknown) => Array.isArray(list) && list.every((id) => Number.isSafeInteger(id));
  return Array.isArray(ids) && ids.length === 3 && ids.every(isIds);
}

/** The result of the work; rejects with the signal's reason as soon as it aborts. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  const done = new AbortController();
  const aborted = new Promise<never>((_, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true, signal: done.signal });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    done.abort();
  }
}
