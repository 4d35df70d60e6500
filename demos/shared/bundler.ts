/**
 * News of a worker on its way to the page. What comes with every step is bundled, so that the page hears a few times a
 * second however fast the GPU is; everything else goes out at once, behind what came before it.
 */

/** Milliseconds between two bundles. */
const BUNDLE = 100;

export class Bundler<Update, Item> {
  private items: Item[] = [];
  private sentAt = 0;

  constructor(
    private readonly listener: (update: Update) => void,
    /** What is told of some items, of which `last` is the last one. */
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
