/**
 * The picks of a person as a source of examples: a batch at a time, each learned from in so many steps in a row and then never
 * again. While there is none it says so in an event, and whoever drives the trainer waits there: nothing else waits with it.
 */
import type { TokenizedExample } from 'webalign/data';
import { InputError, isObject, type Json } from 'webalign/files';
import type { ExampleSource, SourcedStep, StepContext, TrainEvent } from 'webalign/trainers';

export interface PickSettings {
  /** Picks that are learned from together. */
  batchSize: number;
  /** Optimizer steps on each batch. */
  passes: number;
  /** Tokens of a prompt and of a draft that memory is planned for; longer ones take more. */
  planned: { prompt: number; draft: number };
}

/** A batch under way, and the last step on it. */
interface Batch {
  examples: TokenizedExample[];
  until: number;
}

export class PickSource implements ExampleSource {
  readonly waits = true;
  readonly stepsPerEpoch: number;
  readonly length: number;
  readonly batchSize: number;
  readonly identity: unknown;
  private current: Batch | undefined;
  private given: readonly TokenizedExample[] | undefined;

  constructor(private readonly settings: PickSettings) {
    const { batchSize, passes } = settings;
    this.batchSize = batchSize;
    this.length = batchSize;
    this.stepsPerEpoch = passes;
    this.identity = { picks: batchSize, passes };
  }

  /** The batch of the next steps, the better completion of each pair first. Taken when the trainer asks again. */
  give(examples: readonly TokenizedExample[]): void {
    this.given = examples;
  }

  /** Whether a batch has begun and has steps to come after this one. */
  isWithinBatch(step: number): boolean {
    return this.current !== undefined && step < this.current.until;
  }

  /** Nobody knows what a person will pick. */
  ahead(): undefined {}

  largest(count: number): TokenizedExample[] {
    const { prompt, draft } = this.settings.planned;
    return pairs(count, prompt, draft);
  }

  shortest(count: number): TokenizedExample[] {
    return pairs(count, 1, 1);
  }

  async *step(
    step: number,
    _context: StepContext,
    signal?: AbortSignal,
    keep = async () => {},
  ): AsyncGenerator<TrainEvent, SourcedStep | undefined> {
    // The first learning step can be taken back too.
    if (step === 1 && !this.current) await keep();
    while (!(this.current && step <= this.current.until)) {
      if (signal?.aborted) return undefined;
      if (this.given) {
        this.current = { examples: [...this.given], until: step - 1 + this.settings.passes };
        this.given = undefined;
      } else yield { type: 'writing', step, tokens: 0, mostTokens: 0 };
    }
    return { examples: this.current.examples };
  }

  save(): Json | undefined {
    return this.current && (this.current as unknown as Json);
  }

  restore(saved: Json | undefined): void {
    if (saved === undefined) return;
    if (!isBatch(saved)) throw new InputError('checkpoint', 'has no picks of this run', 'Discard the run');
    this.current = saved;
  }
}

function pairs(count: number, prompt: number, draft: number): TokenizedExample[] {
  const tokens = (length: number) => new Array<number>(length).fill(0);
  return Array.from({ length: count }, () => ({
    prompt: tokens(prompt),
    completions: [tokens(draft), tokens(draft)],
  }));
}

/** The hash of a checkpoint detects corruption, not tampering, so its numbers are looked at all the same. */
function isBatch(saved: unknown): saved is Batch & { [field: string]: Json } {
  if (!isObject(saved) || !Number.isSafeInteger(saved.until) || !Array.isArray(saved.examples)) return false;
  return saved.examples.every(
    (example) =>
      isObject(example) &&
      areIds(example.prompt) &&
      Array.isArray(example.completions) &&
      example.completions.length === 2 &&
      example.completions.every(areIds),
  );
}

const areIds = (ids: unknown): boolean =>
  Array.isArray(ids) && ids.length > 0 && ids.every((id) => Number.isSafeInteger(id) && id >= 0);
