/** The two approaches: what is computed from samples, the page and the plot, and the whole study on a tiny example. */
import { readFile } from 'node:fs/promises';
import { Writable } from 'node:stream';
import { expect } from 'chai';
import { Terminal } from '../../src/cli/terminal.ts';
import { rlhfOf } from '../../src/studies/rlhf/analysis.ts';
import { collect } from '../../src/studies/rlhf/collect.ts';
import { altText, rlhfPage, verdict } from '../../src/studies/rlhf/page.ts';
import { rlhfPlot } from '../../src/studies/rlhf/plot.ts';
import { type Job, keptResults, type Results, readResults } from '../../src/studies/rlhf/results.ts';
import { ERRORS, RLHF_QUICK, type RlhfTask, type Road, rewardEpochs } from '../../src/studies/rlhf/task.ts';
import { Workshop } from '../cli/workshop.ts';
import { testGpu } from '../support/gpu.ts';

const [dpo, rloo, ppo, few] = RLHF_QUICK.roads as [Road, Road, Road, Road];
/** Openings of two stories each, whose means differ by a tenth between openings. */
const groups = (mean: number) => [-0.1, 0, 0.1, 0].map((offset) => [mean + offset - 1, mean + offset + 1]);
const look = (step: number, proxy: number, gold: number) => ({
  step,
  seconds: step,
  proxy: groups(proxy),
  gold: groups(gold),
  logRatios: groups(step / 10),
});

const RESULTS: Results = {
  rewardModels: [dpo.pairs, few.pairs].map((pairs) => ({
    pairs,
    of: { adapter: 'test', steps: 20, accuracy: 0.9, margin: 3, seconds: 30, bytes: 1e8 },
  })),
  base: {
    proxy: { [dpo.pairs]: groups(0), [few.pairs]: groups(1) },
    gold: groups(2),
    samples: ['was <b>sad</b>.'],
  },
  roads: [
    {
      road: dpo,
      of: {
        steps: 20,
        written: 0,
        bytes: 1e8,
        looks: [look(10, 1, 4), look(20, 2, 6)],
        samples: ['was glad.'],
      },
    },
    {
      road: rloo,
      of: {
        steps: 24,
        written: 1152,
        bytes: 2e8,
        looks: [look(8, 1, 4), look(16, 3, 7), look(24, 5, 5)],
        samples: ['was glad glad.'],
      },
    },
    {
      road: few,
      of: { steps: 16, written: 768, bytes: 2e8, looks: [look(16, 1, 2)], samples: ['was glad.'] },
    },
  ],
};

describe('cli: rlhf, its arithmetic', () => {
  const found = rlhfOf(RESULTS, ERRORS);

  it('computes both rewards, J and the gap of every measurement', () => {
    const [first, last] = found.roads[0]?.points ?? [];
    expect(first?.proxy.mean).to.be.closeTo(1, 1e-12);
    expect(last?.objective.mean).to.be.closeTo(2 - dpo.beta * 2, 1e-12);
    expect(found.roads[0]?.gain.gold.mean).to.be.closeTo(4, 1e-12);
    // β log mean e^(±1/β) about the opening's mean is β log cosh(1/β); two samples, corrected by leaving one out.
    const beta = dpo.beta;
    const corrected = 2 * beta * Math.log(Math.cosh(1 / beta)) - 0;
    expect(last?.gap.mean + last?.objective.mean).to.be.closeTo(corrected, 1e-9);
    // The learned reward has the true one's mean and standard deviation if nothing was trained.
    expect(found.rewardModels[0]?.correlation).to.be.closeTo(1, 1e-12);
    expect(first?.scaled.mean).to.be.closeTo(3, 1e-12);
    // A curve begins at the score that its own reward model gives the untrained model.
    expect(found.roads[2]?.gain.proxy.mean).to.be.closeTo(0, 1e-12);
    expect(found.roads[2]?.points[0]?.scaled.mean).to.be.closeTo(2, 1e-12);
  });

  it('detects over-optimization of a reward model, and only that', () => {
    expect(found.roads[0]?.overoptimized).to.equal(undefined);
    const over = found.roads[1]?.overoptimized;
    expect(over).to.include({ from: 16, to: 24 });
    expect([over?.gold.mean, over?.proxy.mean].map((value) => Math.round(value ?? 0))).to.deep.equal([-2, 2]);
    expect(verdict(found).at(-1)).to.include('over-optimizes').and.include('16 to 24');
    // If the true reward falls together with the learned one, that is not an exploit.
    const fair = {
      ...RESULTS.roads[1],
      of: { ...RESULTS.roads[1].of, looks: [look(8, 3, 7), look(24, 1, 5)] },
    };
    const other = rlhfOf({ ...RESULTS, roads: [fair] }, ERRORS);
    expect(other.roads[0]?.overoptimized).to.equal(undefined);
    expect(verdict(other).at(-1)).to.include('No method over-optimizes');
  });

  it('shows it on a page and in a plot', () => {
    const about = { rlhf: found, task: RLHF_QUICK, isQuick: true, openings: ['Tim'], plot: 'rlhf.svg' };
    const page = rlhfPage(about);
    expect(page)
      .to.include('](rlhf.svg)')
      .and.include(`| ${rloo.name} | 24 | 1,152 |`)
      .and.include('short form')
      .and.not.match(/NaN|undefined/);
    const svg = rlhfPlot(found, altText(found));
    expect(svg)
      .to.include('prefers-color-scheme:dark')
      .and.not.match(/NaN|undefined|Infinity/);
    expect(rlhfPlot(found, 'a')).to.equal(rlhfPlot(found, 'a'));
  });
});

describe('cli: rlhf, the study', function () {
  this.timeout(300_000);
  let workshop: Workshop;
  before(async () => {
    workshop = await Workshop.open();
  });
  after(() => workshop.close());

  it('runs every method briefly, stores each measurement, and does not repeat it', async () => {
    const { pairs, heldOut } = await data();
    const task: RlhfTask = {
      heldOut: 4,
      openings: 2,
      stories: 2,
      referenceStories: 2,
      maxNewTokens: 6,
      roads: [
        {
          ...dpo,
          pairs: 4,
          settings: { ...dpo.settings, maxSteps: 2, saveSteps: 1, perDeviceTrainBatchSize: 2 },
        },
        {
          ...rloo,
          pairs: 4,
          settings: {
            ...rloo.settings,
            maxSteps: 2,
            saveSteps: 1,
            perDeviceTrainBatchSize: 4,
            numGenerations: 2,
          },
        },
        {
          ...ppo,
          pairs: 2,
          settings: { ...ppo.settings, maxSteps: 2, saveSteps: 1, perDeviceTrainBatchSize: 4 },
        },
      ],
    };
    const job: Job = {
      task,
      fingerprint: 'test',
      openings: ['One day', 'Tim was'],
      pairs,
      heldOut,
      out: workshop.path('out'),
      work: workshop.path('work'),
    };
    // As many steps for few pairs as for many.
    expect([4, 2].map((pairs) => rewardEpochs(task, pairs))).to.deep.equal([1, 2]);
    const kept = await keptResults(job);
    expect(await readResults(kept)).to.equal(undefined);
    const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
    const terminal = new Terminal(true, { stdout: silent, stderr: silent });
    const results = await collect(await testGpu(), job, kept, terminal, new AbortController().signal);
    for (const { of } of results.roads) {
      expect(of.looks.map(({ step }) => step)).to.deep.equal([1, 2]);
      expect(of.looks[0]?.proxy.flat().every(Number.isFinite)).to.equal(true);
      expect(of.bytes).to.be.above(0);
    }
    expect(results.roads.map(({ of }) => of.written)).to.deep.equal([0, 8, 4]);
    // Both approaches begin with the same model: an untrained adapter leaves both rewards unchanged, a trained one does
    // not.
    expect(results.rewardModels.map(({ pairs }) => pairs)).to.deep.equal([4, 2]);
    expect(results.base.proxy[4]).to.have.length(2);
    expect(results.base.proxy[2]).to.have.length(2);
    expect(await readResults(kept)).to.deep.equal(results);
    expect(JSON.parse(await readFile(workshop.path('out/rloo.json'), 'utf8'))).to.include({ steps: 2 });
  });
});

async function data(): Promise<{ pairs: string[]; heldOut: string }> {
  const text = await readFile('demos/align/data/train.jsonl', 'utf8');
  const lines = text.split('\n');
  return { pairs: lines.slice(0, 4), heldOut: lines.slice(4, 6).join('\n') };
}
