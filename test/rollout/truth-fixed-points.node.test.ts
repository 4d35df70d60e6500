/**
 * Where a method converges: a table of logits trained through the loss's driver, the tape and the optimizer on the expected
 * gradient, without randomness, compared with the policy that theory predicts.
 */
import { expect } from 'chai';
import { METHODS } from '../../src/studies/fixed-points/methods.ts';
import { BANDIT, objectiveOf, optimumOf, TREE } from '../../src/studies/fixed-points/problem.ts';
import { trainTable } from '../../src/studies/fixed-points/train.ts';
import { testGpu } from '../support/gpu.ts';

/** The other methods are trained by the command, whose figures are stored. */
const TRAINED_HERE = ['rloo', 'k2', 'k3'];
/** Four digits: after 400 steps the remaining distance is below 1e-4. */
const CLOSE = 2e-4;

describe('truth: fixed points', () => {
  it('the problems are those of the stored results', () => {
    expect(optimumOf(TREE)).to.be.closeTo(1.3547468880907874, 1e-12);
    expect(optimumOf(BANDIT)).to.be.closeTo(0.33682542072734156, 1e-12);
  });

  for (const id of TRAINED_HERE) {
    const method = METHODS.find((each) => each.id === id)!;
    for (const [name, problem] of Object.entries({ tree: TREE, bandit: BANDIT })) {
      it(`${method.name} on the ${name}`, async () => {
        const logits = await trainTable(await testGpu(), problem, method);
        expect(objectiveOf(problem, logits)).to.be.closeTo(method.predicted.objective(problem), CLOSE);
      });
    }
  }
});
