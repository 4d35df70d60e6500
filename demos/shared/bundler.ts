/**
 * Sends a worker's updates to the page. Updates of every step are bundled, so that the page gets a few per second however
 * fast the GPU is; everything else is sent immediately, after the preceding updates.
 */

/** Milliseconds between two bundles. */
const BUNDLE = 100;

export class Bundler<Update, Item> {
  private items: Item[] = [];
  private sentAt = 0;

  constructor(
    private readonly listener: (update: Update) => void,
    /** Makes an update from some items; `last` is the last one. */
    private readonly bundle: (items: Item[], last: Item) => Update,
  ) {}

  tell(update: Update): void {
    this.flush();
    this.listener(update);
  }

  add(item: Item): void {
    this.items.push(item);
    if (performance.now() - this.sentAt >= BUNDLE) this.flush();
  }

  private flush(): void {
    const last = this.items.at(-1);
    if (last === undefined) return;
    this.listener(this.bundle(this.items.splice(0), last));
    this.sentAt = performance.now();
  }
}
