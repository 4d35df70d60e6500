/**
 * A trainer written outside the package, with its own family, setting and source: DPO on pairs whose rejected side is made
 * during the run, by shuffling the tokens of the chosen one. The source is endless, and resumes from a checkpoint.
 */
import { expect } from 'chai';
import { type CausalLM, type Gpu, type Tokenizer, writeAdapter } from 'webalign';
import type { TokenizedExample } from 'webalign/data';
import { type CheckpointStore, InputError, type Json, memoryCheckpointStore } from 'webalign/files';
import { FAMILIES, type Family, lossOf } from 'webalign/losses';
import {
  type DPOConfig,
  declare,
  type ExampleSource,
  LossEvaluation,
  resolveConfig,
  type SourcedStep,
  type StepContext,
  TRAINERS,
  type TrainEvent,
  Trainer,
  type TrainerOptions,
  type Values,
} from 'webalign/trainers';
import { requestGpuOf, storyteller } from './place.ts';

const OWN = {
  swaps: declare.whole({
    default: 3,
    range: { from: 1, upTo: 100, reason: 'a text that is not touched is its own rival' },
    group: 'training',
    help: 'pairs of tokens that change places in the rejected text',
    trl: null,
  }),
};

const SETTINGS = { ...TRAINERS.dpo, settings: { ...TRAINERS.dpo.settings, ...OWN } };

interface SwapConfig extends DPOConfig, Values<typeof OWN> {}

/** Losses on pairs that need a reference and have a formula of a margin. */
const SWAPPED: Family = {
  losses: FAMILIES.dpo.losses.filter(({ name }) => ['sigmoid', 'hinge'].includes(name)),
  lossType: 'sigmoid',
  usesReference: true,
};

interface Text {
  prompt: number[];
  completion: number[];
}

/** Pairs each text with a shuffled copy of itself, shuffled differently every time. */
class Swaps implements ExampleSource {
  readonly waits = false;
  readonly length: number;
  readonly stepsPerEpoch: number;
  readonly identity: unknown;
  /** Pairs made so far. */
  private made = 0;

  constructor(
    private readonly texts: readonly Text[],
    readonly batchSize: number,
    private readonly swaps: number,
  ) {
    this.length = texts.length;
    this.stepsPerEpoch = Math.ceil(texts.length / batchSize);
    this.identity = { texts, swaps };
  }

  /** The pairs are not known beforehand: the reference is computed with each batch. */
  ahead(): undefined {}

  largest(count: number): TokenizedExample[] {
    const [longest] = this.texts.toSorted((a, b) => b.completion.length - a.completion.length);
    return Array.from({ length: count }, () => pair(longest, longest.completion));
  }

  shortest(count: number): TokenizedExample[] {
    const [shortest] = this.texts.toSorted((a, b) => a.completion.length - b.completion.length);
    return Array.from({ length: count }, () => pair(shortest, shortest.completion));
  }

  async *step(_step: number, _context: StepContext): AsyncGenerator<TrainEvent, SourcedStep> {
    const examples = Array.from({ length: this.batchSize }, () => this.next());
    return { examples, metrics: { made: this.made } };
  }

  save(): Json {
    return { made: this.made };
  }

  restore(saved: Json | undefined): void {
    const { made } = (saved ?? {}) as { made?: unknown };
    if (!Number.isSafeInteger(made))
      throw new InputError('checkpoint', 'has no count of pairs', 'Start again');
    this.made = made as number;
  }

  private next(): TokenizedExample {
    const text = this.texts[this.made % this.texts.length];
    const rejected = [...text.completion];
    for (let swap = 0; swap < this.swaps; swap++) {
      // Another pair of positions for every text and swap: multiples of primes.
      const from = (31 * this.made + 7 * swap) % rejected.length;
      const to = (17 * this.made + 11 * swap + 1) % rejected.length;
      [rejected[from], rejected[to]] = [rejected[to], rejected[from]];
    }
    this.made++;
    return pair(text, rejected);
  }
}

const pair = ({ prompt, completion }: Text, rejected: number[]): TokenizedExample => ({
  prompt,
  completions: [completion, rejected],
});

interface SwapOptions extends TrainerOptions {
  args?: Partial<SwapConfig>;
  texts: readonly Text[];
}

class SwapTrainer extends Trainer<SwapConfig> {
  constructor({ args, texts, ...options }: SwapOptions) {
    const config = resolveConfig<SwapConfig>(SETTINGS, args, options.peftConfig);
    super(options, {
      config,
      source: new Swaps(texts, config.perDeviceTrainBatchSize, config.swaps),
      evaluation: new LossEvaluation([], config.perDeviceEvalBatchSize),
      notices: [`each text loses to itself with ${config.swaps} swaps`],
      loss: lossOf(SWAPPED, { ...config }),
    });
  }
}

const STORIES = [
  ['Once upon a time', ' there was a little girl who liked to play in the park.'],
  ['One day', ' the dog found a big red ball under the tree.'],
] as const;

describe('outside/trainer', () => {
  let gpu: Gpu;
  let model: CausalLM;
  let tokenizer: Tokenizer;
  before(async () => {
    gpu = await requestGpuOf();
  });
  beforeEach(async () => {
    ({ model, tokenizer } = await storyteller(gpu));
  });
  afterEach(() => model?.dispose());
  after(() => gpu?.dispose());

  /** The model as it was before any training. */
  async function anew(): Promise<void> {
    model.dispose();
    ({ model, tokenizer } = await storyteller(gpu));
  }

  function trainer(args: Partial<SwapConfig> = {}, checkpoint?: CheckpointStore): SwapTrainer {
    const texts = STORIES.map(([prompt, completion]) => ({
      prompt: tokenizer.encode(prompt),
      completion: tokenizer.encode(completion, { addSpecialTokens: false }),
    }));
    return new SwapTrainer({
      model,
      texts,
      peftConfig: { r: 4 },
      args: {
        maxSteps: 6,
        perDeviceTrainBatchSize: 2,
        learningRate: 1e-2,
        saveSteps: 1,
        ...args,
      },
      ...(checkpoint && { checkpoint }),
    });
  }

  async function run(trained: SwapTrainer, stopAfter?: number) {
    const stop = new AbortController();
    const steps: Readonly<Record<string, number>>[] = [];
    for await (const event of trained.train({ signal: stop.signal })) {
      if (event.type !== 'step') continue;
      steps.push(event.metrics as Record<string, number>);
      if (event.step === stopAfter) stop.abort();
    }
    const { 'adapter_model.safetensors': bytes } = writeAdapter(await trained.adapter!.toAdapter());
    trained.dispose();
    return { steps, bytes };
  }

  it('learns to prefer ordered text', async () => {
    const { steps } = await run(trainer());
    expect(steps.map(({ made }) => made)).to.deep.equal([2, 4, 6, 8, 10, 12]);
    expect(steps[0].loss).to.be.closeTo(Math.LN2, 1e-6);
    expect(steps.at(-1)!.loss).to.be.below(0.8 * Math.LN2);
    expect(steps.at(-1)!['rewards/accuracies']).to.equal(1);
  });

  it('resumes bit for bit, including its source', async () => {
    const whole = await run(trainer());
    const store = memoryCheckpointStore();
    await anew();
    await run(trainer({}, store), 2);
    await anew();
    const rest = await run(trainer({}, store));
    expect(rest.steps[0].made).to.equal(6);
    expect(rest.bytes).to.deep.equal(whole.bytes);
  });

  it('has validated settings, and only its own losses', async () => {
    expect(trainer().config).to.include({ swaps: 3, beta: 0.1 });
    expect(trainer({ swaps: 7 }).notices).to.deep.equal(['each text loses to itself with 7 swaps']);
    expect(() => trainer({ swaps: 0 })).to.throw(InputError, 'a text that is not touched is its own rival');
    expect(() => trainer({ swap: 1 } as object)).to.throw(InputError, 'swap');
    expect(() => trainer({ lossType: 'ipo' })).to.throw(/sigmoid, hinge/);
    const store = memoryCheckpointStore();
    await anew();
    await run(trainer({}, store), 1);
    await anew();
    const error = await run(trainer({ swaps: 4 }, store)).catch((reason) => reason);
    expect(error).to.be.instanceOf(InputError);
    expect(error.message).to.include('swaps was 3 and is now 4');
  });
});
