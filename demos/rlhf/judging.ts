/**
 * Asks the user: pairs of drafts for openings, one question after the other. Every answer is stored before the next
 * question.
 */
import type { AnswerToQuestion, Question } from './messages.ts';
import { type TokenPair, writeDrafts } from './reward-model.ts';
import type { Runtime } from './runtime.ts';
import { NEEDED } from './task.ts';

/** Number of openings that are drafted at a time. */
const AHEAD = 4;
/** Offset of the seed: drafts use other random numbers than training. */
const SEED = 2 ** 29;

/** The user's answers so far. */
export interface Answers {
  pairs: TokenPair[];
  /** Number of openings in questions so far. */
  asked: number;
  /** Whether no more questions are needed. */
  done: boolean;
}

export interface JudgingOptions {
  openings: readonly string[];
  seed: number;
  signal: AbortSignal;
  ask: (question: Question) => void;
  keep: () => Promise<void>;
}

export class Judging {
  private listener: ((answer: AnswerToQuestion | undefined) => void) | undefined;

  /** Answers the last question; a late answer is ignored. */
  answer(answer: AnswerToQuestion): void {
    this.listener?.(answer);
  }

  /** Asks until the user says that there are enough answers, or until aborted. */
  async run(runtime: Runtime, answers: Answers, options: JudgingOptions): Promise<void> {
    const { openings, seed, signal, ask, keep } = options;
    while (!answers.done) {
      const from = answers.asked;
      const some = Array.from({ length: AHEAD }, (_, i) => openings[(from + i) % openings.length]);
      for (const { prompt, ids, drafts } of await writeDrafts(runtime, some, {
        seed: SEED + seed + from,
        signal,
      })) {
        const [first, second] = drafts;
        answers.asked++;
        if (first.text === second.text) continue;
        ask({ prompt, drafts: [first.text, second.text], answered: answers.pairs.length, needed: NEEDED });
        const answer = await this.next(signal, answers);
        if (answer === undefined) {
          answers.asked--;
          return;
        }
        if (answer === 'learn') answers.done = true;
        else if (answer === 'first') answers.pairs.push(pairOf(ids, first.tokens, second.tokens));
        else if (answer === 'second') answers.pairs.push(pairOf(ids, second.tokens, first.tokens));
        await keep();
        if (answers.done) return;
      }
    }
  }

  /** Undefined if aborted. The answer `learn` only counts with enough answers. */
  private async next(signal: AbortSignal, { pairs }: Answers): Promise<AnswerToQuestion | undefined> {
    const stop = () => this.listener?.(undefined);
    signal.addEventListener('abort', stop, { once: true });
    try {
      return await new Promise((resolve) => {
        this.listener = (answer) => {
          if (answer !== 'learn' || pairs.length >= NEEDED) resolve(answer);
        };
        if (signal.aborted) resolve(undefined);
      });
    } finally {
      this.listener = undefined;
      signal.removeEventListener('abort', stop);
    }
  }
}

function pairOf(prompt: number[], chosen: number[], rejected: number[]): TokenPair {
  return { prompt, chosen, rejected };
}
