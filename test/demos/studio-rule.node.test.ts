/** Online and offline learning of the studio compared by a rule: at equal KL, and a page that is drawn from kept figures alone. */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { atEqualKl, type Point, scoreAt } from '../../demos/studio/rule/equal-kl.ts';
import {
  differenceOf,
  type Kept,
  pageOf,
  type SeedFigures,
  summaryOf,
} from '../../demos/studio/rule/page.ts';

const point = (kl: number, score: number): Point => ({ picks: 0, kl, score, standardError: 0 });
const path = (...points: Point[]) => ({ points, steps: 1, ties: 0, seconds: { picking: 1, learning: 1 } });
const run = (seed: number, difference: number): SeedFigures => ({
  seed,
  offline: path(point(0, 1), point(4, 5)),
  online: path(point(0, 1), point(2, 3 + difference)),
});

describe('two ways of learning at equal KL', () => {
  it('are interpolated linearly between the points of a run', () => {
    const points = [point(0, 1), point(4, 5), point(2, 2)];
    expect(scoreAt(points, 1)).to.equal(1.5);
    expect(scoreAt(points, 3)).to.equal(3.5);
    expect(scoreAt(points, 4)).to.equal(5);
    expect(scoreAt(points, 5), 'nobody went there').to.equal(undefined);
  });

  it('are compared at the last KL of the run with the smaller KL', () => {
    const found = atEqualKl([point(0, 1), point(2, 4)], [point(0, 1), point(4, 5)]);
    expect(found).to.deep.equal({ kl: 2, difference: 1 });
  });

  it('differ by a mean over seeds, and count as equally good down to one standard error below', () => {
    const better = differenceOf([run(0, 1), run(1, 3)]);
    expect(better).to.include({ mean: 2, standardError: 1, isAsGood: true });
    expect(differenceOf([run(0, 0.5), run(1, -1)]).isAsGood, '−0.25 ± 0.75').to.equal(true);
    expect(differenceOf([run(0, -1), run(1, -1.2)]).isAsGood, '−1.1 ± 0.1').to.equal(false);
    expect(summaryOf([run(0, -1), run(1, -1.2)])).to.include('below offline − 1 standard error');
  });

  it('are joined by the road with a reward model, where the command has added it', () => {
    const held = (step: number, gap: number, effectiveSamples: number) => ({
      ...{ step, gap, effectiveSamples, gapError: 0.1 },
      ...{ reward: 1, kl: 0.5, objective: 0.75, optimum: 2 },
    });
    const kept: Kept = {
      ...{ adapter: 'a', picks: 100, heldOut: 8, runs: [run(0, 1), run(1, 1)] },
      optimum: { beta: 2, mean: 6, standardError: 0.2, effectiveSamples: 3 },
    };
    expect(pageOf(kept)).to.include('rule.mjs online` to add it');
    const proxy = { beta: 0.5, accuracy: 0.75, points: [held(4, 0.3, 9), held(8, 0.2, 4)] };
    kept.runs[1].policy = {
      ...path({ ...point(0, 1), step: 0 }, { ...point(1, 4), step: 8 }),
      proxy,
    };
    const page = pageOf(kept);
    // J = 4 − 2 · 1, and β log Z − J; the other roads on the same seed, where online ends at 4 too.
    expect(page).to.include('| online DPO | 4.00 | 2.00 | 0.00 | 6.00 | 2 s |');
    expect(page).to.include('| reward model and RLOO | 4.00 | 1.00 | 2.00 | 4.00 | 2 s |');
    expect(page).to.include('| reward model and RLOO | 0, after 8 steps of RLOO | 4.00 | 1.00 |');
    expect(page).to.include('| 4 | 1.00 | 0.50 | 0.75 | 0.30 ± 0.10 |');
    expect(page).to.include('| 8 | 1.00 | 0.50 | 0.75 | at least 0.20 ± 0.10 |');
    expect(page).to.include("prefers the rule's side in 75%");
    expect(page).to.not.include('to add it');
  });

  it('have a page that is generated from the stored figures', () => {
    const kept = JSON.parse(readFileSync('docs/studio/online.json', 'utf8')) as Kept;
    expect(readFileSync('docs/studio-online.md', 'utf8')).to.equal(pageOf(kept));
  });
});
