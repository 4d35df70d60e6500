/**
 * A person's turn: drafts of openings in pairs, one question after the other. Every answer is kept before the next question
 * is asked.
 */
import type { AnswerToQuestion, Question } from './messages.ts';
import { type TokenPair, writeDrafts } from './reward-model.ts';
import type { Runtime } from './runtime.ts';
import { NEEDED } from './task.ts';

/** Openings that are drafted at a time. */
const AHEAD = 4;
/** Drafts share no random numbers with what is learned from. */
const SEED = 2 ** 29;

/** What a person has said so far. */
export interface Answers {
  pairs: TokenPair[];
  /** Openings that have been asked about. */
  asked: number;
  /** Nothing more is asked. */
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

  /** To the question that was asked last; one that comes too late counts nothing. */
  answer(answer: AnswerToQuestion): void {
    this.listener?.(answer);
  }

  /** Asks until the person says that there are enough answers, or the signal ends it. */
  async run(runtime: Runtime, answers: Answers, options: JudgingOptions): Promise<void> {
    const { openings, seed, signal, ask, keep } = options;
    while (!answers.done) {
      const from = answers.asked;
      const some = Array.from({ length: AHEAD }, (_, i) => openings[(from + i) % openings.length] as string);
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

  /** Undefined where the signal ends the wait. Learning counts only with enough answers. */
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
