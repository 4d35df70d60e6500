/** Parts of the studio's run against a reward model, without a page: defaults, sentences, names, and score beside votes. */
import { expect } from 'chai';
import type { PastRun } from '../../demos/studio/history.ts';
import { betaFor, policyEvalSteps, policyLength, saveStepsFor } from '../../demos/studio/policy/defaults.ts';
import { gapSentence } from '../../demos/studio/policy/gap.ts';
import { policyPlanOf } from '../../demos/studio/policy/plan.ts';
import { duelsOf, pointsOf, type RunPoint, verdictOn } from '../../demos/studio/policy/points.ts';
import { runName } from '../../demos/studio/record.ts';
import { spreadOf } from '../../demos/studio/reward/figures.ts';
import { pastWriters, placeOf, sideAt, stepNamed } from '../../demos/studio/run-names.ts';
import { defaultsFor, trainingArgs } from '../../demos/studio/task.ts';
import { clopperPearson, type WinRate } from '../../demos/studio/win-rate.ts';
import { Random } from '../../src/data/random.ts';

const held = (step: number, reward: number) => ({
  step,
  reward,
  kl: step / 10,
  objective: reward,
  gap: 1,
  gapError: 0.1,
  optimum: reward + 1,
  effectiveSamples: 10,
});

const STARTED = 1_700_000_000_000;
const RUN = {
  startedAt: STARTED,
  name: 'Mine',
  method: 'rloo',
  step: 20,
  policy: {
    train: [],
    heldOut: [held(0, 0), held(2, 0.5), held(10, 1), held(20, 2)],
    optimum: undefined,
    snapshots: [2, 10],
  },
} as const satisfies Pick<PastRun, 'startedAt' | 'name' | 'method' | 'step' | 'policy'>;

/** A comparison of so many votes that has ended, or one that has not. */
function rate(adapter: string, against: string | undefined, wins: number, planned = 20): WinRate {
  const result = { wins, rate: wins / planned, interval: clopperPearson(wins, planned) };
  const counts = { wins, losses: planned - wins, undecided: 0, planned };
  return { adapter, against, key: adapter, ...counts, result, votes: [] };
}
const open = (adapter: string): WinRate => ({ ...rate(adapter, undefined, 5), result: undefined });

describe('defaults of a run against the reward model', () => {
  it('put the best policy about 2 nats away, whatever the scale of the scores', () => {
    // KL of a normal distribution whose mean is moved by s² / β.
    for (const spread of [0.3, 1, 4]) expect(spread ** 2 / (2 * betaFor(spread) ** 2)).to.be.closeTo(2, 0.2);
    expect([betaFor(0), betaFor(Number.NaN), betaFor(1e-9), betaFor(1e9)]).to.deep.equal([
      0.1, 0.1, 0.01, 10,
    ]);
  });

  it('read the spread of scores from differences of two', () => {
    const random = new Random(1, 2, 3);
    // Two uniform numbers: a variance of 1/12 each.
    const margins = Array.from({ length: 20_000 }, () => random.uniform() - random.uniform());
    expect(spreadOf(margins)).to.be.closeTo(Math.sqrt(1 / 12), 0.005);
    expect(spreadOf([])).to.equal(0);
  });

  it('write to each prompt about ten times, with a checkpoint at each evaluation', () => {
    expect(policyLength(3)).to.deep.equal({ perDeviceTrainBatchSize: 3, maxSteps: 20, evalSteps: 5 });
    expect(policyLength(32)).to.deep.equal({ perDeviceTrainBatchSize: 8, maxSteps: 40, evalSteps: 10 });
    expect(policyLength(1000).maxSteps).to.equal(100);
    for (const steps of [1, 2, 7, 9, 25, 100]) {
      const evalSteps = policyEvalSteps(steps);
      expect(evalSteps % saveStepsFor(evalSteps), `${steps} steps`).to.equal(0);
      expect(saveStepsFor(evalSteps)).to.be.at.most(5);
    }
  });

  it('pass the trainer its own settings alone', () => {
    const about = { spread: 2, draftLength: 24 };
    const args = trainingArgs('rloo', defaultsFor(32, 1e6, 'rloo', about));
    expect(args).to.include({ beta: 1, maxSteps: 40, numGenerations: 4, maxCompletionLength: 24 });
    expect(args.learningRate).to.equal(defaultsFor(32, 1e6).learningRate / 2);
    expect(args).to.not.have.any.keys('numTrainEpochs', 'earlyStoppingPatience', 'r');
    expect(trainingArgs('dpo', defaultsFor(32, 1e6))).to.not.have.any.keys('maxSteps', 'numGenerations');
  });

  it('are said in a sentence, and what is missing', () => {
    const ahead = {
      prompts: 12,
      heldOut: 4,
      steps: 20,
      batch: 8,
      generations: 4,
      hasReward: true,
      isOwnBeta: false,
    };
    expect(policyPlanOf(ahead)).to.match(
      /^12 prompts to write to, 4 held out .*: 20 steps of 8 prompts with 4 drafts each\. β suits/,
    );
    expect(policyPlanOf({ ...ahead, isOwnBeta: true })).to.not.include('β');
    expect(policyPlanOf({ ...ahead, hasReward: false })).to.include('Fit a reward model');
    expect(policyPlanOf({ ...ahead, steps: Number.NaN })).to.not.include('NaN');
  });
});

describe('the gap to the best policy', () => {
  const optimum = { mean: 3, standardError: 0.1, effectiveSamples: 2 };

  it('has its error, and where it began', () => {
    expect(gapSentence({ ...held(10, 1), gap: 0.4 }, held(0, 0), optimum)).to.equal(
      'The gap to the best policy at this β is 0.40 ± 0.10 after step 10. Before the first step it was 1.00. β log Z, the J of the best policy, is at least 3.00.',
    );
  });

  it('is called a lower bound below five effective samples', () => {
    const few = { ...held(10, 1), effectiveSamples: 4.9 };
    expect(gapSentence(few, undefined, undefined)).to.match(
      /is at least 1\.00 ± 0\.10.*lower bound: .*4\.90 effective samples/,
    );
    expect(gapSentence({ ...few, effectiveSamples: 5 }, undefined, undefined)).to.not.include('least');
    expect(gapSentence({ ...few, gap: Number.NaN }, undefined, undefined)).to.include(
      'No prompt was held out',
    );
  });
});

describe('points of a run', () => {
  it('are offered as writers, and found by their names', () => {
    expect(pastWriters([RUN])).to.deep.equal([
      [`run ${STARTED}`, 'Mine'],
      [`run ${STARTED} step 2`, 'Mine, step 2'],
      [`run ${STARTED} step 10`, 'Mine, step 10'],
    ]);
    expect(placeOf(`run ${STARTED} step 10`)).to.deep.equal({ startedAt: STARTED, step: 10 });
    expect(placeOf(`run ${STARTED}`)).to.deep.equal({ startedAt: STARTED, step: undefined });
    expect([sideAt(RUN, 20), sideAt(RUN, 2)]).to.deep.equal([`run ${STARTED}`, `run ${STARTED} step 2`]);
    const begun = runName({ startedAt: STARTED, lesson: { method: 'rloo' } });
    const steps = ['Mine', 'Mine, step 2', 'Mine, step 20', `${begun}, step 10`, 'Mine, step 200', 'Other'];
    expect(steps.map((name) => stepNamed(RUN, name))).to.deep.equal([20, 2, 20, 10, undefined, undefined]);
    expect(stepNamed(RUN, 'Mine, step 20 after 1 step back')).to.equal(20);
  });

  it('have a score each, and votes once the last one is cast', () => {
    const points = pointsOf(RUN, [
      rate('Mine, step 2', undefined, 15),
      open('Mine'),
      rate('Other', undefined, 1),
    ]);
    expect(points.map(({ step, score }) => [step, score])).to.deep.equal([
      [0, 0],
      [2, 0.5],
      [10, 1],
      [20, 2],
    ]);
    expect(points.map(({ votes }) => votes?.rate)).to.deep.equal([undefined, 0.75, undefined, undefined]);
  });

  it('say where the reward model and the person part', () => {
    const verdict = (...rates: WinRate[]) => verdictOn(pointsOf(RUN, rates), duelsOf(RUN, rates));
    expect(verdict()).to.match(/^Vote blind/);
    const parted = verdict(rate('Mine, step 2', undefined, 18), rate('Mine', undefined, 4));
    expect(parted).to.match(/^From step 2 to step 20 .* 0\.50 to 2\.00, and your win rate from 90% to 20%\./);
    expect(parted).to.include('says better, and you say worse').and.not.include('overlap');
    const unsure = verdict(rate('Mine, step 2', undefined, 12), rate('Mine', undefined, 9));
    expect(unsure).to.include('The intervals overlap');
    expect(verdict(rate('Mine, step 2', undefined, 4), rate('Mine', undefined, 18))).to.not.include('worse');
    expect(verdict(rate('Mine', undefined, 18))).to.include('You and the reward model agree');
    expect(verdict(rate('Mine', undefined, 2))).to.include('says better, and you say worse');
    expect(verdict(rate('Mine', undefined, 10))).to.include('too close to call');
  });

  it('are compared with each other, the later one with the earlier', () => {
    // Names sort by text: the wins are those of step 2.
    const [duel] = duelsOf(RUN, [rate('Mine, step 2', 'Mine, step 10', 18)]);
    expect(duel).to.deep.include({ earlier: 2, later: 10 });
    expect(duel.votes.rate).to.be.closeTo(0.1, 1e-12);
    expect(duel.votes.interval[1]).to.be.closeTo(1 - clopperPearson(18, 20)[0], 1e-12);
    const points: RunPoint[] = pointsOf(RUN, []);
    expect(verdictOn(points, [duel])).to.match(/you preferred step 10 to step 2 in 10% .*you say worse/);
    expect(duelsOf(RUN, [rate('Mine', 'Other', 3), rate('Mine', undefined, 3)])).to.deep.equal([]);
  });
});
