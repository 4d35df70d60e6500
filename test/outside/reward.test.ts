/** A reward and a rater written outside the package: they rate what a policy generates, and it learns from them. */
import { expect } from 'chai';
import type { Gpu } from 'webalign';
import { InputError } from 'webalign/files';
import { type BatchReward, type Rater, rate, textOfCompletion, weighedRewards } from 'webalign/rollouts';
import { RLOOTrainer, type TrainEvent } from 'webalign/trainers';
import { requestGpuOf, storyteller } from './place.ts';

/** The share of the completion's letters that are an "a". */
const manyAs: BatchReward = ({ completions, logMetric }) => {
  const shares = completions.map((completion) => {
    const letters = textOfCompletion(completion)
      .toLowerCase()
      .replace(/[^a-z]/g, '');
    return letters === '' ? null : letters.replace(/[^a]/g, '').length / letters.length;
  });
  logMetric('as/best', Math.max(...shares.map((share) => share ?? 0)));
  return shares;
};

/** A reward that is more than a function: it counts its calls. */
class Short implements Rater {
  readonly name = 'short';
  asked = 0;

  rate({ completionIds }: Parameters<Rater['rate']>[0]): number[] {
    this.asked++;
    return completionIds.map(({ length }) => -length);
  }
}

const PROMPTS = ['Once upon a time', 'One day', 'Tom and Sue', 'The dog'].map((prompt, i) => ({
  prompt,
  where: `row ${i + 1}`,
  columns: {},
}));

describe('outside/reward', () => {
  let gpu: Gpu;
  before(async () => {
    gpu = await requestGpuOf();
  });
  after(() => gpu?.dispose());

  it('trains a policy, together with one that is an object', async () => {
    const { model, tokenizer } = await storyteller(gpu);
    const short = new Short();
    const trainer = new RLOOTrainer({
      model,
      processingClass: tokenizer,
      args: {
        maxSteps: 2,
        perDeviceTrainBatchSize: 8,
        numGenerations: 4,
        maxCompletionLength: 8,
        rewardWeights: [1, 0.01],
        seed: 3,
      },
      trainDataset: PROMPTS,
      peftConfig: { r: 4 },
      rewardFuncs: [manyAs, short],
    });
    const events: TrainEvent[] = [];
    for await (const event of trainer.train()) events.push(event);
    const steps = events.flatMap((event) => (event.type === 'step' ? [event.metrics] : []));
    expect(steps.length).to.equal(2);
    for (const metrics of steps) {
      expect(metrics).to.include.keys('rewards/manyAs/mean', 'rewards/short/mean', 'as/best');
      expect(metrics['rewards/manyAs/mean']).to.be.within(0, 1);
      expect(metrics['rewards/short/mean']).to.be.within(-8, -1);
    }
    expect(short.asked).to.equal(2);
    trainer.dispose();
    model.dispose();
  });

  it('is named in the error if it returns an invalid rating', async () => {
    const { model, tokenizer } = await storyteller(gpu);
    const broken: BatchReward = ({ completions }) => completions.map(() => Number.NaN);
    const batch = {
      prompts: ['a'],
      completions: ['b'],
      promptIds: [[1]],
      completionIds: [[2]],
      tokenizer,
      columns: {},
      finished: ['eos' as const],
      step: undefined,
    };
    const error = await rate(weighedRewards([broken]), batch, { timeout: 5 }).catch((reason) => reason);
    expect(error).to.be.instanceOf(InputError);
    expect(error.message).to.include('"broken"');
    model.dispose();
  });
});
