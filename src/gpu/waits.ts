/**
 * Waits that end when the device is lost. A promise that only settles on device loss must not be used in `Promise.race`
 * directly: it would keep the result of every race for as long as the device lives. Here, each wait registers its own
 * rejection and removes it when it ends, so nothing of a finished wait is kept.
 */
export class Waits {
  private readonly rejections = new Set<(error: Error) => void>();
  private ended: Error | undefined;

  /** Settles like `pending`, or rejects if the device ends first. */
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

  /** Ends all waits because the device is gone: rejects pending ones, and later ones unless they have already settled. */
  end(error: Error): void {
    this.ended = error;
    for (const reject of this.rejections) reject(error);
    this.rejections.clear();
  }
}
