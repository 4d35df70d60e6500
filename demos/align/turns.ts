/**
 * One device, several pieces of work that take turns on it: training, measuring, and a story that somebody asks for in
 * between. Work is done in short pieces, and whoever waits longest goes next. It keeps order and knows nothing of what
 * is done.
 */

export class Turns {
  private last: Promise<unknown> = Promise.resolve();

  /** Runs `work` when all that was asked for before has ended, well or badly. */
  run<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.last.then(work);
    this.last = mine.catch(() => undefined);
    return mine;
  }

  /** The values of a generator, a turn for each; between them it is others' turn. */
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

/** What is done around every piece of work, such as switching the adapter off. */
export type Around = <T>(work: () => Promise<T>) => Promise<T>;

const unchanged: Around = (work) => work();
