/** The lines of a run on the terminal. */
import { expect } from 'chai';
import { DPO } from '../../src/cli/methods.ts';
import { tell } from '../../src/cli/training-lines.ts';

describe('cli: lines of a run', () => {
  it('shows no sign of a value that rounds to 0, and no accuracy before the first update', () => {
    const lines: string[] = [];
    const metrics = {
      eval_loss: 0.69,
      'eval_rewards/margins': 0,
      'eval_rewards/accuracies': 0,
      'eval_log_ratio/chosen': -0.0049,
      'eval_log_ratio/rejected': -0.0051,
    };
    const terminal = { info: (line: string) => void lines.push(line) };
    tell({ type: 'evaluate', step: 2, metrics } as never, DPO, terminal as never, undefined as never);
    expect(lines).to.deep.equal([
      'Held out, after step 2: loss 0.690 · margin 0.00 · accuracy – · log-ratio of chosen 0.00 · of rejected -0.01',
    ]);
  });
});
