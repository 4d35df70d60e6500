/**
 * Waiting that ends with the device. A promise that settles only when a device is lost must not be raced against directly: it
 * would keep the result of every race for as long as the device lives. Here each wait registers its own rejection and
 * removes it when it is over, so nothing of a finished wait is kept.
 */
export class Waits {
  private readonly rejections = new Set<(error: Error) => void>();
  private ended: Error | undefined;

  /** Settles as `pending` does, or rejects when the device ends first. */
  async for<T>(pending: Promise<T>): Promise<T> {
    let reject = (_: Error) => {};
    const end = new Promise<never>((_, fail) => {
      reject = fail;
    });
    if (this.ended) reject(this.ended);
    else this.rejections.add(reject);
    try {
      return await Promise.race([pending, end]);
    } finally {
      this.rejections.delete(reject);
    }
  }

  /** The device is gone: rejects every wait, and those that begin later unless they have settled already. */
  end(error: Error): void {
    this.ended = error;
    for (const reject of this.rejections) reject(error);
    this.rejections.clear();
  }
}
