/** The reward model of the studio's picks: its figures on plain numbers, and a fit that leaves the model as it was. */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { type Gpu, InputError, Tokenizer } from 'webalign';
import { CausalLM, generate } from 'webalign/models';
import { folderFiles, requestGpu } from 'webalign/node';
import type { Judgment } from '../../demos/studio/preferences/judgment.ts';
import { confidenceOf, rewardFigures, type ScoredPair } from '../../demos/studio/reward/figures.ts';
import { fitReward } from '../../demos/studio/reward/fit.ts';
import { Runtime } from '../../demos/studio/runtime.ts';
import { clopperPearson } from '../../demos/studio/win-rate.ts';

const scored = (margin: number): ScoredPair => ({ prompt: 'p', chosen: 'c', rejected: 'r', margin });
/** The margin at which Bradley and Terry are so sure. */
const marginOf = (confidence: number) => Math.log(confidence / (1 - confidence));

describe('figures of a reward model', () => {
  it('count held-out pairs with a positive margin, and equal scores as a half', () => {
    const { accuracy, interval, heldOut, learned } = rewardFigures(9, [2, 1, 0, -1].map(scored));
    expect([accuracy, heldOut, learned]).to.deep.equal([2.5 / 4, 4, 9]);
    expect(interval).to.deep.equal(clopperPearson(2, 4));
  });

  it('compare its confidence with its accuracy', () => {
    const sure = marginOf(0.95);
    const pairs = [sure, sure, -sure, marginOf(0.65), 0].map(scored);
    const { calibration } = rewardFigures(1, pairs);
    expect(calibration.map(({ from, pairs }) => [from, pairs])).to.deep.equal([
      [0.5, 1],
      [0.6, 1],
      [0.9, 3],
    ]);
    expect(calibration[2].confidence).to.be.closeTo(0.95, 1e-12);
    expect(calibration[2].right).to.be.closeTo(2 / 3, 1e-12);
    expect(confidenceOf(1000), 'the last bin has its upper edge').to.equal(1);
    expect(rewardFigures(1, [scored(1000)]).calibration).to.have.length(1);
  });

  it('list the most confident disagreements first', () => {
    const { disagreements } = rewardFigures(1, [-1, 3, -4, -2].map(scored));
    expect(disagreements.map(({ margin }) => margin)).to.deep.equal([-4, -2, -1]);
  });
});

describe('a reward model fitted to picks', function () {
  this.timeout(180_000);

  let gpu: Gpu;
  let runtime: Runtime;
  before(async () => {
    const files = folderFiles('demos/align/model');
    gpu = await requestGpu();
    const loading = { dtype: 'float32' } as const;
    const model = await CausalLM.load(gpu, files, loading);
    const tokenizer = await Tokenizer.fromFiles(files);
    runtime = Runtime.on({ files, tokenizer, gpu, model, loading, notices: [] });
  });
  after(() => gpu?.dispose());

  const judgments = (count: number): Judgment[] =>
    readFileSync('demos/align/data/train.jsonl', 'utf8')
      .split('\n')
      .slice(0, count)
      .map((line, i) => {
        const { prompt, chosen, rejected } = JSON.parse(line) as Record<string, string>;
        const drafts = [chosen, rejected].map((text) => ({ text, ended: true }));
        return { id: String(i), time: i, prompt: prompt, drafts, verdict: 'first' };
      });

  it('scores held-out pairs, and does not change the model and its adapters', async () => {
    const prompt = runtime.tokenizer.encode('Tom was');
    const write = () => generate(runtime.model, [prompt], { maxNewTokens: 8, temperature: 0 });
    const before = await write();
    const told: number[] = [];
    const seen: boolean[] = [];
    const { figures, adapter } = await fitReward(runtime, judgments(60), (done, total) => {
      told.push(done / total);
      seen.push(runtime.model.adapters.some(({ enabled }) => enabled));
    });
    expect(told.at(-1)).to.equal(1);
    expect(seen, 'its adapter is off between two steps').to.not.include(true);
    expect(figures.learned + figures.heldOut).to.equal(60);
    expect(figures.accuracy).to.be.within(0, 1);
    expect(figures.calibration.reduce((sum, { pairs }) => sum + pairs, 0)).to.equal(figures.heldOut);
    expect(runtime.model.adapters).to.deep.equal([]);
    expect(await write()).to.deep.equal(before);
    expect(adapter.head, 'it scores').to.have.length(runtime.model.config.hiddenSize);
    expect(figures.spread).to.be.above(0);
  });

  it('reports how many pairs it needs', async () => {
    const error = await fitReward(runtime, judgments(4), () => {}).catch((reason) => reason);
    expect(error).to.be.instanceOf(InputError);
    expect(error.message).to.match(/picks: make \d pairs? to learn from and \d held out.*at least 8 and 2/);
  });
});
