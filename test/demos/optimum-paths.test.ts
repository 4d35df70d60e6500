/** The four losses of the demo `optimum`: their gradients compared with finite differences, and where their paths end. */
import { expect } from 'chai';
import { descend, LOSSES, logSoftmax, type Method, type Problem } from '../../demos/optimum/paths.ts';
import { sigmoid } from '../reference/arrays.ts';
import { expectClose, random } from '../reference/compare.ts';
import { finiteDifferences } from '../reference/finite-difference.ts';
import * as theory from '../reference/theory.ts';

const SHAPE = { rows: 1, cols: 3 };

function problem(beta: number, rewards: number[], weights = [0.5, 0.3, 0.2]): Problem {
  const reference = weights.map(Math.log);
  const { logPolicy } = theory.optimalPolicy(reference, rewards, [beta], SHAPE);
  return { reference, rewards, beta, optimal: [...logPolicy] };
}

const PROBLEMS = [
  problem(0.25, [0, 1, 0.8]),
  problem(2, [1, -1, 0.3]),
  problem(0.1, [0.5, 0, 0.6], [0.2, 0.7, 0.1]),
];
const METHODS = Object.keys(LOSSES) as Method[];

describe('the paths to the optimum', () => {
  for (const method of METHODS) {
    it(`follow the gradient of their loss: ${method}`, () => {
      const { normals } = random(4);
      for (const each of PROBLEMS) {
        const { value, gradient } = LOSSES[method](each);
        const logits = normals(3);
        const slopes = finiteDifferences((z) => value([...z]), logits);
        // Central differences of smooth functions with a step of 1e-5.
        expectClose(
          gradient([...logits]),
          slopes.map((slope) => slope.value),
          { absolute: 1e-7, relative: 1e-6 },
        );
      }
    });

    it(`start at the reference and only descend: ${method}`, () => {
      for (const each of PROBLEMS) {
        const { value } = LOSSES[method](each);
        const path = descend(method, each);
        expectClose(path[0], each.reference, { absolute: 1e-12 });
        const losses = path.map(value);
        expect(losses.every((loss, i) => i === 0 || loss <= losses[i - 1] + 1e-12)).to.equal(true);
      }
    });
  }

  for (const method of ['ascent', 'dpo', 'forward'] as const) {
    it(`end at π*: ${method}`, () => {
      for (const each of PROBLEMS) {
        const end = descend(method, each).at(-1)!;
        // Descent stops when a step gains less than 1e-12: about 1e-6 / curvature from the minimum.
        expectClose(end.map(Math.exp), each.optimal.map(Math.exp), { absolute: 1e-4 });
      }
    });
  }

  it('end, for IPO, where log-ratios are preferences over β: not at π*', () => {
    for (const each of PROBLEMS) {
      const { reference, rewards, beta } = each;
      // Theorem 1 for the reward E_j[P(i ≻ j)] of an even opponent (Azar et al. 2023, with Ψ the identity).
      const preference = rewards.map(
        (r) => rewards.reduce((sum, other) => sum + sigmoid(r - other), 0) / rewards.length,
      );
      const { logPolicy } = theory.optimalPolicy(reference, preference, [beta], SHAPE);
      const end = descend('ipo', each).at(-1)!;
      expectClose(end.map(Math.exp), logPolicy.map(Math.exp), { absolute: 1e-4 });
      expect(
        Math.max(...end.map((logp, i) => Math.abs(Math.exp(logp) - Math.exp(each.optimal[i])))),
      ).to.be.above(0.01);
    }
  });

  it('are in log-probabilities', () => {
    expectClose(logSoftmax([1e4, 1e4 + 1, -Infinity]).map(Math.exp), [sigmoid(-1), sigmoid(1), 0], {
      absolute: 1e-12,
    });
  });
});
