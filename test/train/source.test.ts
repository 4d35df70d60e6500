/**
 * A source of examples that are generated during the run, written as a user would write one: the model's own completions,
 * judged by a rule, as pairs with a margin each. It waits, uses one batch for several steps, and resumes from a checkpoint.
 */
import { expect } from 'chai';
import type { TokenizedExample } from '../../src/data/packing.ts';
import { type CheckpointStore, memoryCheckpointStore } from '../../src/io/checkpoint.ts';
import type { Json } from '../../src/io/json.ts';
import { FAMILIES } from '../../src/losses/families.ts';
import { lossOf } from '../../src/losses/family.ts';
import type { CausalLM } from '../../src/model/causal-lm.ts';
import { generate } from '../../src/model/generation.ts';
import { DPO_DEFAULTS, type DPOConfig } from '../../src/train/config.ts';
import { LossEvaluation } from '../../src/train/evaluation.ts';
import type { TrainEvent } from '../../src/train/events.ts';
import type { ExampleSource, SourcedStep } from '../../src/train/source.ts';
import type { StepContext } from '../../src/train/step.ts';
import { Trainer } from '../../src/train/trainer.ts';
import { loadFixture, randomPairs } from '../model/tiny.ts';
import { testGpu } from '../support/gpu.ts';
import { eachStep, LORA, trained } from './runs.ts';

const PROMPTS = randomPairs(6, 41).map(({ prompt }) => prompt);
const LENGTH = 6;
const STEPS_PER_BATCH = 3;
const SETTINGS: DPOConfig = {
  ...DPO_DEFAULTS,
  learningRate: 5e-3,
  perDeviceTrainBatchSize: 2,
  maxSteps: 8,
  saveSteps: 1,
  seed: 5,
};

/** Pairs of the policy's own completions; the one with the smaller sum of ids is chosen. */
class OwnPairs implements ExampleSource {
  readonly length = PROMPTS.length;
  readonly stepsPerEpoch = STEPS_PER_BATCH;
  readonly batchSize = SETTINGS.perDeviceTrainBatchSize;
  readonly waits = true;
  readonly identity = { prompts: PROMPTS, seed: SETTINGS.seed };
  written = 0;
  private batch: TokenizedExample[] = [];

  constructor(
    private readonly model: CausalLM,
    private readonly stopAt?: { batch: number; stop: AbortController },
  ) {}

  ahead(): undefined {}

  largest(count: number): TokenizedExample[] {
    const completion = Array.from({ length: LENGTH }, () => 1);
    const [longest] = PROMPTS.toSorted((a, b) => b.length - a.length) as [number[]];
    return Array.from({ length: count }, () => ({ prompt: longest, completions: [completion, completion] }));
  }

  shortest(count: number): TokenizedExample[] {
    return PROMPTS.slice(0, count).map((prompt) => ({ prompt, completions: [[1], [1]] }));
  }

  // biome-ignore lint/correctness/useYield: it has nothing to report meanwhile
  async *step(
    step: number,
    _context: StepContext,
    signal?: AbortSignal,
  ): AsyncGenerator<TrainEvent, SourcedStep | undefined> {
    const place = (step - 1) % STEPS_PER_BATCH;
    if (place === 0) this.batch = await this.write(step);
    if (this.stopAt?.batch === this.written) this.stopAt.stop.abort();
    if (signal?.aborted) return undefined;
    const examples = this.batch.slice(2 * place, 2 * place + 2);
    return { examples, metrics: { batch: Math.ceil(step / STEPS_PER_BATCH) } };
  }

  save(): Json {
    return this.batch as unknown as Json;
  }

  restore(saved: Json | undefined): void {
    this.batch = saved as unknown as TokenizedExample[];
  }

  private async write(seed: number): Promise<TokenizedExample[]> {
    this.written++;
    const options = { maxNewTokens: LENGTH, numReturnSequences: 2, seed, eosTokenIds: [] };
    const texts = await generate(this.model, PROMPTS, options);
    const sum = (ids: readonly number[]) => ids.reduce((a, b) => a + b, 0);
    return PROMPTS.map((prompt, p) => {
      const pair = texts.slice(2 * p, 2 * p + 2).map(({ ids }) => ids);
      return { prompt, completions: pair.toSorted((a, b) => sum(a) - sum(b)) };
    });
  }
}

function start(checkpoint?: CheckpointStore, stopAt?: { batch: number; stop: AbortController }) {
  const made: { source?: OwnPairs } = {};
  const trainer = (model: CausalLM) => {
    made.source = new OwnPairs(model, stopAt);
    const task = {
      config: SETTINGS,
      source: made.source,
      evaluation: new LossEvaluation([], 2),
      notices: [],
      loss: lossOf(FAMILIES.dpo, { ...SETTINGS }),
    };
    return new Trainer({ model, peftConfig: LORA, ...(checkpoint ? { checkpoint } : {}) }, task);
  };
  return { trainer, made };
}

describe('train/source', () => {
  it('is awaited once per batch, and its reference is scored with the batch', async () => {
    const gpu = await testGpu();
    const { trainer, made } = start();
    const { events } = await trained(gpu, trainer);
    expect(made.source!.written).to.equal(3);
    const losses = eachStep(events, 'loss');
    expect(losses.length).to.equal(8);
    expect(eachStep(events, 'batch')).to.deep.equal([1, 1, 1, 2, 2, 2, 3, 3]);
    // The adapter is new: policy and reference are the same, and every pair’s loss is ln 2.
    expect(losses[0]).to.be.closeTo(Math.LN2, 1e-6);
    expect(losses.at(-1)).to.not.be.closeTo(Math.LN2, 1e-3);
    expect(events.filter(({ type }) => type === 'reference')).to.deep.equal([]);
  });

  it('plans the largest possible examples, not the current ones', async () => {
    const gpu = await testGpu();
    const { trainer } = start();
    const { events } = await trained(gpu, trainer);
    const [first] = events;
    if (first?.type !== 'start') throw new Error('no plan');
    expect(first.plan.examples).to.equal(PROMPTS.length);
    expect(first.plan.plannedBytes).to.be.above(0);
  });

  for (const stopAfter of [1, 2, 3, 5]) {
    it(`resumes byte for byte when it was stopped after step ${stopAfter}, within a batch too`, async () => {
      const gpu = await testGpu();
      const whole = await trained(gpu, start().trainer);
      const store = memoryCheckpointStore();
      await trained(gpu, start(store).trainer, stopAfter);
      const { trainer, made } = start(store);
      const resumed = await trained(gpu, trainer);
      expect(resumed.bytes).to.deep.equal(whole.bytes);
      expect(resumed.log).to.deep.equal(whole.log);
      // What was generated before the stop is not generated again.
      expect(made.source!.written).to.equal(3 - Math.ceil(stopAfter / STEPS_PER_BATCH));
    });
  }

  it('takes no step if it is stopped while waiting, and keeps its state', async () => {
    const gpu = await testGpu();
    const whole = await trained(gpu, start().trainer);
    const store = memoryCheckpointStore();
    const stop = new AbortController();
    const { trainer } = start(store, { batch: 2, stop });
    const model = await loadFixture(gpu);
    const stopped = trainer(model);
    let last = 0;
    for await (const event of stopped.train({ signal: stop.signal }))
      if (event.type === 'end') last = event.step;
    expect(last).to.equal(3);
    stopped.dispose();
    model.dispose();
    const resumed = await trained(gpu, start(store).trainer);
    expect(resumed.bytes).to.deep.equal(whole.bytes);
  });

  it("is a part of the checkpoint's identity", async () => {
    const gpu = await testGpu();
    const store = memoryCheckpointStore();
    await trained(gpu, start(store).trainer, 1);
    const { trainer } = start(store);
    const other = (model: CausalLM) => {
      const made = trainer(model);
      Object.assign((made as unknown as { task: { source: object } }).task.source, { identity: 'another' });
      return made;
    };
    const refused = await trained(gpu, other).catch((error: Error) => error);
    expect(String(refused)).to.include('another');
  });
});
