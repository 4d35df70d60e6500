/**
 * Lets several tasks take turns on one device: training, evaluation, rollouts, a text that the user requests in between.
 * Work is divided into short pieces, and the task that has waited longest runs next. Does not depend on the kind of work.
 */

export class Turns {
  private last: Promise<unknown> = Promise.resolve();

  /** Runs `work` after all earlier requests have finished, with or without an error. */
  run<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.last.then(work);
    this.last = mine.catch(() => undefined);
    return mine;
  }

  /** The values of a generator, with one turn for each; others run in between. `around` wraps every turn. */
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

/** A wrapper of every turn, such as `model.without`. */
export type Around = <T>(work: () => Promise<T>) => Promise<T>;

const unchanged: Around = (work) => work();
