/** The metrics of a batch, on plain numbers: means per side, and which of them may be called a KL. */
import { expect } from 'chai';
import type { Side } from '../../src/losses/units.ts';
import { batchMeans, comparedAccuracy, stepMetrics } from '../../src/train/metrics.ts';

/** Two, one and two rows; log π − log π_ref sums to 1, −3 and 0.5. */
const BATCH = {
  records: new Float32Array([0]),
  values: new Float32Array([-1, -2, -7, -1, -1]),
  reference: new Float32Array([-2, -2, -4, -1.5, -1]),
  sequenceOffsets: new Uint32Array([0, 2, 3, 5]),
};

const means = (...sides: (Side | undefined)[]) => batchMeans(BATCH, { loss: 0 }, 1, sides);

describe('train/metrics', () => {
  it('logs the mean log π − log π_ref of each side, in nats per completion', () => {
    const { loss: _, ...found } = means('chosen', 'rejected', 'chosen');
    expect(found).to.deep.equal({
      'log_ratio/chosen': { value: 0.75, weight: 1 },
      'log_ratio/rejected': { value: -3, weight: 1 },
    });
  });

  it('only reports a KL of samples of the policy, and no completion that only serves a baseline', () => {
    expect(means('sampled', 'sampled', undefined)).to.deep.include({
      'kl/sequence': { value: -1, weight: 1 },
    });
    expect(means('sampled', 'sampled', undefined)).to.not.have.any.keys('kl', 'log_ratio/chosen');
    expect(means('chosen', undefined, undefined)).to.not.have.any.keys('kl/sequence', 'log_ratio/rejected');
  });

  it('shows no accuracy if nothing was compared', () => {
    expect(comparedAccuracy(0, 0)).to.equal(undefined);
    expect([
      comparedAccuracy(0, -0.1),
      comparedAccuracy(0.5, 0),
      comparedAccuracy(undefined, 0),
    ]).to.deep.equal([0, 0.5, undefined]);
  });

  it('omits metrics that a source removes', () => {
    const derive = () => ({ 'kl/sequence': undefined, log_ratio: -1 });
    const found = stepMetrics([means('sampled', 'sampled', 'sampled')], { derive });
    expect(found).to.deep.equal({ loss: 0, log_ratio: -1 });
  });
});
