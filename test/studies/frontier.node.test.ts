/** The frontier: its arithmetic where the optimum is known exactly, its page and plot, and the command on a tiny example. */
import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import {
  bestOfCurve,
  type CurvePoint,
  checksOf,
  type Frontier,
  frontierOf,
  leadOverBest,
  type MethodSamples,
  measure,
  optimumCurve,
  roomBelow,
  sameReward,
} from '../../src/studies/frontier/analysis.ts';
import { altText, frontierPage, verdict } from '../../src/studies/frontier/page.ts';
import { frontierPlot } from '../../src/studies/frontier/plot.ts';
import { optimumAt, pricedAt } from '../../src/studies/frontier/price.ts';
import { ERRORS, FRONTIER, FRONTIER_QUICK } from '../../src/studies/frontier/task.ts';
import type { Groups } from '../../src/studies/shared/groups.ts';
import { Kept } from '../../src/studies/shared/kept-results.ts';
import { estimateOptimum } from '../../src/theory/estimators.ts';
import { Workshop } from '../cli/workshop.ts';
import { random } from '../reference/compare.ts';

/** The β at which e^(r/β) doubles with every unit of reward. */
const BETA = 1 / Math.LN2;
const BETAS = [8, 4, 2, BETA, 1];

/**
 * Two prompts of three answers each, of probability 1/2, 1/4, 1/4. Rewards 0, 1, 2: π* at BETA has 1/4, 1/4, 1/2 and
 * Z = 2. Rewards 0, 0, 1: π* has 2/5, 1/5, 2/5 and Z = 5/4.
 */
const PROMPTS = [
  { reference: [2, 1, 1], optimum: [1, 1, 2], rewards: [0, 1, 2] },
  { reference: [2, 1, 1], optimum: [2, 1, 2], rewards: [0, 0, 1] },
] as const;

/** Answers in proportion to `counts`, so many that the bias of the logarithm of a mean is small. */
function answers(counts: readonly number[], times = 1): number[] {
  return counts.flatMap((count, answer) => Array.from({ length: count * times }, () => answer));
}

const reference = PROMPTS.map((prompt) =>
  answers(prompt.reference, 250).map((a) => prompt.rewards[a] as number),
);

/** Samples of a policy that answers in proportion to `counts`. */
function policy(
  countsOf: (prompt: (typeof PROMPTS)[number]) => readonly number[],
  id = 'policy',
): MethodSamples {
  const share = (counts: readonly number[], a: number) => counts[a] / counts.reduce((x, y) => x + y, 0);
  return {
    id,
    family: 'DPO',
    label: id,
    effort: { stories: 5280, steps: 40, seconds: undefined },
    rewards: PROMPTS.map((prompt) => answers(countsOf(prompt)).map((a) => prompt.rewards[a] as number)),
    logRatios: PROMPTS.map((prompt) =>
      answers(countsOf(prompt)).map((a) => Math.log(share(countsOf(prompt), a) / share(prompt.reference, a))),
    ),
  };
}

const optimal = policy((prompt) => prompt.optimum, 'optimal');
const unmoved = policy((prompt) => prompt.reference, 'unmoved');
/** Reward and KL of π*, by hand. */
const BEST = {
  reward: (5 / 4 + 2 / 5) / 2,
  kl: ((5 / 4) * Math.LN2 - Math.log(2) + (2 / 5) * Math.LN2 - Math.log(5 / 4)) / 2,
};

describe('cli: frontier, its arithmetic', () => {
  const curve = optimumCurve(reference, BETAS, 5);

  it('the curve equals that of the optimal policies', () => {
    const at = curve.find(({ beta }) => beta === BETA);
    expect(at?.plain.reward.mean).to.be.closeTo(BEST.reward, 1e-12);
    expect(at?.plain.kl.mean).to.be.closeTo(BEST.kl, 1e-12);
    expect(at?.reward.mean).to.be.closeTo(BEST.reward, 1e-3);
    expect(at?.kl.mean).to.be.closeTo(BEST.kl, 1e-3);
    // The bias that the jackknife leaves with 1000 samples.
    expect(at?.logPartitions[0]).to.be.closeTo(Math.log(2), 5e-4);
    expect(at?.logPartitions[1]).to.be.closeTo(Math.log(5 / 4), 5e-4);
    const { reward, kl, k3 } = measure(optimal);
    expect(reward.mean).to.be.closeTo(BEST.reward, 1e-12);
    expect(kl.mean).to.be.closeTo(BEST.kl, 1e-12);
    expect(k3.mean).to.be.closeTo(BEST.kl, 1e-12);
  });

  it('log Z has a small bias, even with few samples', () => {
    // All samples of four coin tosses, each as a prompt.
    const all = Array.from({ length: 16 }, (_, i) => [0, 1, 2, 3].map((bit) => (i >> bit) & 1));
    const [at] = optimumCurve(all, [1], 1);
    const truth = Math.log((1 + Math.E) / 2);
    const mean = (at?.logPartitions ?? []).reduce((a, b) => a + b, 0) / all.length;
    const plain = estimateOptimum(all, 1).logPartition.mean;
    expect(Math.abs(mean - truth)).to.be.below(Math.abs(plain - truth) / 3);
  });

  it('is corrected for few samples, with an estimate of the remaining bias', () => {
    // Twelve answers to each of many copies of both prompts, evenly spread over all samples, so that every quantile of a
    // sum occurs.
    const { uniform } = random(11);
    const drawn = (prompt: (typeof PROMPTS)[number]) =>
      Array.from({ length: 12 }, () => {
        const u = uniform();
        return prompt.rewards[u < 0.5 ? 0 : u < 0.75 ? 1 : 2] as number;
      });
    const few = Array.from({ length: 6000 }, (_, i) => drawn(PROMPTS[i % 2]));
    const [at] = optimumCurve(few, [BETA], 1) as [CurvePoint];
    for (const part of ['reward', 'kl'] as const) {
      const { mean, standardError } = at[part];
      const plain = at.plain[part].mean - BEST[part];
      // The plain figure is too low by many standard errors, the corrected one by a fraction of one.
      expect(plain).to.be.below(-4 * standardError);
      expect(Math.abs(mean - BEST[part])).to.be.below(Math.abs(plain) / 4);
      // From six samples to twelve it rose by at least as much as is left.
      const { rise } = at;
      expect(Math.abs(mean - BEST[part])).to.be.below(Math.abs(rise[part].mean) + 2 * standardError);
    }
    expect(optimumAt(at).mean).to.be.closeTo((BETA * (Math.log(2) + Math.log(5 / 4))) / 2, 0.005);
  });

  it('compares methods at one β: J, the gap to the reference’s optimum, and a certificate from 64 samples on', () => {
    const best = pricedAt(BETA, curve, optimal);
    expect(best.objective.mean).to.be.closeTo(BEST.reward - BETA * BEST.kl, 1e-12);
    expect(best.gap?.mean).to.be.closeTo(0, 1e-3);
    expect(best.certificate).to.equal(undefined);
    const many = (groups: Groups) => groups.map((group) => Array.from({ length: 20 }, () => group).flat());
    const long = { rewards: many(unmoved.rewards), logRatios: many(unmoved.logRatios) };
    const { certificate, gap } = pricedAt(BETA, curve, long);
    // The gap of the reference itself is the same by its own samples as by the curve's.
    expect(certificate!.corrected.gap.mean).to.be.closeTo(gap!.mean, 0.01);
    expect(certificate?.isLowerBound).to.equal(false);
    expect(pricedAt(0.01, curve, long).gap).to.equal(undefined);
  });

  it('the curve ends when there are too few effective samples', () => {
    const few = optimumCurve([[0, 0, 0, 0, 0, 0, 0, 1]], [100, 10, 1, 0.1, 0.01], 5);
    expect(few.map(({ beta }) => beta)).to.deep.equal([100, 10, 1]);
    expect(few.every(({ effectiveSamples }) => effectiveSamples >= 5)).to.equal(true);
  });

  it('the optimum has no distance to the limit, another policy β KL(π ‖ π*)', () => {
    const best = roomBelow(curve, optimal);
    expect(best.beta).to.equal(BETA);
    expect(best.room.mean).to.be.closeTo(0, 1e-3);
    expect(best.limit).to.be.closeTo(BEST.reward, 1e-3);
    expect(best.beyond).to.equal(false);
    // Twice the weight on the best answer and none on the others, limited by the end of the curve itself.
    const greedy = roomBelow(
      curve,
      policy((prompt) => [0, 0, prompt.reference[2]]),
    );
    expect(greedy.beyond).to.equal(true);
    expect(greedy.beta).to.equal(1);
    // β KL(π ‖ π*) = −β log π*(best) for π* ∝ π_ref e^r.
    const e = Math.E;
    const gap =
      (-Math.log((e * e) / 4 / (1 / 2 + e / 4 + (e * e) / 4)) - Math.log(e / 4 / (3 / 4 + e / 4))) / 2;
    expect(greedy.room.mean).to.be.closeTo(gap, 1e-3);
  });

  it('a reward above the limit is detected', () => {
    const lying: MethodSamples = {
      ...optimal,
      rewards: optimal.rewards.map((group) => group.map((r) => r + 0.2)),
    };
    const between = frontierOf(reference, [optimal, lying, unmoved], {
      betas: BETAS,
      leastEffective: 5,
      price: BETA,
    });
    expect(checksOf(between, 'DPO', ERRORS).crossing.map(({ reward }) => reward.mean)).to.deep.equal([
      measure(lying).reward.mean,
    ]);
  });

  it('best of n: the lead at the same KL, between two n and beyond the last', () => {
    const best = bestOfCurve([
      [0, 1, 2, 3],
      [0, 2, 4, 6],
    ]);
    expect(best.map(({ n }) => n)).to.deep.equal([1, 2, 3, 4]);
    // Means of the maximum over all subsets of n: 3/2, 7/3, 11/4 and 3, and twice that.
    const maxima = [3 / 2, 7 / 3, 11 / 4, 3].map((mean) => (mean + 2 * mean) / 2);
    for (const [i, { reward }] of best.entries()) expect(reward.mean).to.be.closeTo(maxima[i], 1e-12);
    const middle = (best[1]?.kl + best[2]?.kl) / 2;
    const between = (best[1]?.reward.mean + best[2]?.reward.mean) / 2;
    const samples = (kl: number, reward: number) => ({
      rewards: [[reward], [reward]],
      logRatios: [[kl], [kl]],
    });
    expect(leadOverBest(best, samples(middle, between + 1))?.mean).to.be.closeTo(1, 1e-12);
    expect(leadOverBest(best, samples(0, 2.25))?.mean).to.be.closeTo(0, 1e-12);
    expect(leadOverBest(best, samples(-0.1, 2.25))?.mean).to.be.closeTo(0, 1e-12);
    expect(leadOverBest(best, samples(9, 9))).to.equal(undefined);
    expect(sameReward(best, 2.3)).to.equal(2);
    // Prompts that differ in KL, each on the curve itself: the lead is 0, and so is its error.
    const alike = bestOfCurve([
      [0, 1],
      [0, 1],
    ]);
    const slope = 1 / 2 / alike[1]?.kl;
    const along = { rewards: [[0.5 + 0.05 * slope], [0.5 + 0.15 * slope]], logRatios: [[0.05], [0.15]] };
    expect(leadOverBest(alike, along)?.mean).to.be.closeTo(0, 1e-12);
    expect(leadOverBest(alike, along)?.standardError).to.be.closeTo(0, 1e-12);
    expect(sameReward(best, 9)).to.equal(undefined);
  });
});

describe('cli: frontier, its page and plot', () => {
  const named = (id: string, family: string, label: string): MethodSamples => ({
    ...unmoved,
    id,
    family,
    label,
  });
  const result: Frontier = frontierOf(
    reference,
    [optimal, named('b', '<b>&"', 'β <1>'), policy((prompt) => [0, 0, prompt.reference[2]], 'greedy')],
    { betas: BETAS, leastEffective: 5, price: BETA },
  );
  const checks = checksOf(result, 'DPO', ERRORS);
  const about = {
    frontier: result,
    checks,
    task: FRONTIER,
    adapters: ['test'],
    plot: 'frontier.svg',
  };

  it('the plot is XML with escaped text', () => {
    const svg = frontierPlot(result, altText(result));
    expect(svg).to.include('&lt;b&gt;&amp;&quot;').and.include('β &lt;1&gt;').and.not.include('<b>');
    expect(svg)
      .to.include('prefers-color-scheme:dark')
      .and.not.match(/NaN|undefined|Infinity/);
    const open: string[] = [];
    for (const [, closing, name, rest] of svg.matchAll(/<(\/?)([a-z]+)([^>]*)>/gi)) {
      if (closing) expect(open.pop()).to.equal(name);
      else if (!rest?.endsWith('/')) open.push(name);
    }
    expect(open).to.deep.equal([]);
    expect(frontierPlot(result, 'a title')).to.equal(frontierPlot(result, 'a title'));
  });

  it('the page has a row for every method and the outcome', () => {
    const page = frontierPage(about);
    expect(page)
      .to.include('![Reward against KL')
      .and.include('](frontier.svg)')
      .and.not.match(/NaN|undefined/);
    expect(page).to.include('| DPO | optimal | 0.82 ');
    expect(page).to.include('**The bound holds.**');
    const lying = { ...checks, crossing: [result.points[0]] };
    expect(verdict({ frontier: result, checks: lying })[0])
      .to.include('**The bound does not hold.**')
      .and.include('DPO optimal by');
    expect(verdict({ frontier: result, checks: { ...checks, ahead: [] } })[1]).to.include('is not ahead');
  });
});

describe('cli: frontier, the command', () => {
  let workshop: Workshop;
  before(async () => {
    workshop = await Workshop.open();
  });
  after(() => workshop.close());

  it('stores a result with everything that it depends on', async () => {
    const kept = await Kept.of<{ values: number[][] }>(workshop.folder, 'one', { a: 1 });
    expect(await kept.read()).to.equal(undefined);
    await kept.write({ values: [[1, 2], [3]] });
    expect(await kept.read()).to.deep.equal({ values: [[1, 2], [3]] });
    expect(await readFile(workshop.path('one.json'), 'utf8')).to.include('  [1,2],\n');
    expect(await (await Kept.of(workshop.folder, 'one', { a: 2 })).read()).to.equal(undefined);
    await workshop.write('one.json', '{"key": ');
    expect(await kept.read()).to.equal(undefined);
  });

  it('rejects a folder that is not a run of the frontier', async () => {
    const record = {
      method: 'rloo',
      model: '/somewhere',
      revision: null,
      data: 'prompts.jsonl',
      evalData: null,
      evalSplit: 0,
      settings: { seed: 1, beta: 0.3, maxSteps: 4, perDeviceTrainBatchSize: 8, gradientAccumulationSteps: 1 },
      lora: null,
    };
    await workshop.write('other/run.json', JSON.stringify(record));
    const out = workshop.path('docs/other');
    const args = ['frontier', '--out', out, '--adapter', workshop.path('other')];
    const { code, stderr } = await workshop.run(args);
    expect(code).to.equal(1);
    expect(stderr).to.include('rloo at beta 0.3').and.include('rloo at beta 2');
  });

  it('measures, plots, and plots again without measuring', async () => {
    const [out, work] = [workshop.path('docs/frontier'), workshop.path('work')];
    const args = ['frontier', '--quick', '--out', out, '--work', work];
    const first = await workshop.run(args);
    expect(first.code, first.stderr).to.equal(0);
    const { points } = first.json as unknown as Frontier;
    expect(points.map(({ id }) => id)).to.deep.equal(FRONTIER_QUICK.entries.map(({ id }) => id));
    for (const { kl, room } of points) expect(Number.isFinite(kl.mean + room.mean)).to.equal(true);
    const drawn = await Promise.all(['md', 'svg'].map((type) => readFile(`${out}.${type}`, 'utf8')));

    const again = await workshop.run(args);
    expect(again.stderr).to.not.include('Reference').and.not.include('Training');
    const rloo = points.find(({ id }) => id === 'rloo-2');
    expect(rloo?.effort).to.deep.include({ stories: 16, steps: 2 });
    expect(drawn[0]).to.include('| RLOO | β 2, 2 steps |').and.include('generated training stories');
    expect(again.json).to.deep.equal(first.json);
    expect(await Promise.all(['md', 'svg'].map((type) => readFile(`${out}.${type}`, 'utf8')))).to.deep.equal(
      drawn,
    );
  });
});
