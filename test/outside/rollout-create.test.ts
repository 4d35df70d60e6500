/**
 * `create` of the trainers on prompts, from the package alone: the same run as by the constructor, prompts prepared in slices,
 * a signal that stops it, and errors by row.
 */
import { expect } from 'chai';
import type { CausalLM, Gpu, Tokenizer } from 'webalign';
import { InputError } from 'webalign/files';
import {
  A2POTrainer,
  GRPOTrainer,
  OnlineDPOTrainer,
  PPOTrainer,
  RLOOTrainer,
  type Trainer,
} from 'webalign/trainers';
import { requestGpuOf, storyteller } from './place.ts';

const PROMPTS = ['Tom was', 'Lily had', 'One day'].map((prompt) => ({ prompt }));
const short = ({ completionIds }: { completionIds: readonly (readonly number[])[] }) =>
  completionIds.map((ids) => -ids.length);
const SIZES = { perDeviceTrainBatchSize: 4, maxCompletionLength: 4, maxSteps: 1, learningRate: 1e-3 };
const GROUPS = { ...SIZES, numGenerations: 2 };

interface Kind {
  create(options: never, slices?: object): Promise<Trainer>;
  new (options: never): Trainer;
}
const TRAINERS: readonly [Kind, object][] = [
  [RLOOTrainer, GROUPS],
  [GRPOTrainer, GROUPS],
  [PPOTrainer, { ...SIZES, numMiniBatches: 1, numPpoEpochs: 1 }],
  [OnlineDPOTrainer, SIZES],
  [A2POTrainer, { ...SIZES, numValueSamples: 2 }],
] as unknown as [Kind, object][];

describe('trainers on prompts, created from outside', function () {
  this.timeout(180_000);
  let gpu: Gpu;
  let model: CausalLM;
  let processingClass: Tokenizer;
  before(async () => {
    gpu = await requestGpuOf();
    ({ model, tokenizer: processingClass } = await storyteller(gpu));
  });
  after(() => gpu.dispose());

  const optionsOf = (args: object, more: object = {}) =>
    ({ model, processingClass, trainDataset: PROMPTS, rewardFuncs: short, args, ...more }) as never;

  /** The log of a run on the model, which is left as it was. */
  async function logOf(trainer: Trainer) {
    for await (const _ of trainer.train());
    const log = structuredClone(trainer.logHistory);
    trainer.dispose();
    if (trainer.adapter) model.detach(trainer.adapter);
    return log;
  }

  for (const [Made, args] of TRAINERS) {
    const { name } = Made as unknown as { name: string };

    it(`${name}.create gives the same run as its constructor`, async () => {
      const whole = await logOf(new Made(optionsOf(args)));
      expect(whole).to.have.length(1);
      expect(await logOf(await Made.create(optionsOf(args)))).to.deep.equal(whole);
    });

    it(`${name}.create stops with the signal's reason, and names an invalid row`, async () => {
      const reason = new Error('enough');
      const stopped = Made.create(optionsOf(args), { signal: AbortSignal.abort(reason) });
      expect(await stopped.catch((error: unknown) => error)).to.equal(reason);
      const trainDataset = [
        ...PROMPTS,
        { prompt: 'Tom was here. '.repeat(400), where: 'prompts.jsonl, line 4' },
      ];
      const refused = await Made.create(optionsOf(args, { trainDataset })).catch((error: unknown) => error);
      expect(refused).to.be.instanceOf(InputError);
      expect(String(refused)).to.include('prompts.jsonl, line 4').and.include('no space');
    });
  }

  it('reports the progress of both data sets, and lets others run in between', async () => {
    const rows = Array.from({ length: 20_000 }, (_, i) => ({
      prompt: `Lily had ${i} toys and one more day. `.repeat(3),
    }));
    const seen: number[] = [];
    let turns = 0;
    let goesOn = true;
    const count = () => {
      turns++;
      if (goesOn) setTimeout(count);
    };
    count();
    const onProgress = ({ done, total }: { done: number; total: number }) => {
      expect(total).to.equal(20_010);
      seen.push(done);
    };
    const options = optionsOf(GROUPS, { trainDataset: rows, evalDataset: rows.slice(0, 10) });
    const trainer = await RLOOTrainer.create(options, { onProgress });
    goesOn = false;
    trainer.dispose();
    if (trainer.adapter) model.detach(trainer.adapter);
    // The number of slices depends on the machine; this many rows take several on any.
    expect(seen.length).to.be.above(1);
    expect(seen).to.deep.equal(seen.toSorted((a, b) => a - b));
    expect(turns).to.be.above(1);
  });
});
