/**
 * One device, several pieces of work that take turns on it: training, evaluation, rollouts, a text that somebody asks for in
 * between. Work is done in short pieces, and whoever has waited longest goes next. It keeps order and knows nothing about
 * the work.
 */

export class Turns {
  private last: Promise<unknown> = Promise.resolve();

  /** Runs `work` when all that was asked for before has ended, with or without an error. */
  run<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.last.then(work);
    this.last = mine.catch(() => undefined);
    return mine;
  }

  /** The values of a generator, a turn for each; others have theirs in between. `around` is run around every turn. */
  async *each<T>(generator: AsyncGenerator<T, unknown>, around = unchanged): AsyncGenerator<T> {
    try {
      for (;;) {
        const next = await this.run(() => around(() => generator.next()));
        if (next.done) return;
        yield next.value;
      }
    } finally {
      await this.run(() => around(() => generator.return(undefined)));
    }
  }
}

/** What is run around every turn, such as `model.without`. */
export type Around = <T>(work: () => Promise<T>) => Promise<T>;

const unchanged: Around = (work) => work();
