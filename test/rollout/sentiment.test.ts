import { expect } from 'chai';
import { ratedWords, sentiment } from '../../src/rollout/sentiment.ts';

describe('rollout: sentiment', () => {
  it('sums the ratings of AFINN-165, ignoring case', () => {
    expect(sentiment('The HAPPY dog loved a sad cat.')).to.equal(3 + 3 - 2);
    expect(sentiment('')).to.equal(0);
    expect(sentiment('constructor toString __proto__')).to.equal(0);
  });

  it('matches whole words, with apostrophes and hyphens', () => {
    expect(sentiment('unhappy')).to.equal(-2);
    expect(sentiment('self-confident')).to.equal(2);
    expect(ratedWords('can’t be happy')).to.deep.equal([{ start: 9, end: 14, rating: 3 }]);
  });

  it('does not count names as words', () => {
    expect(sentiment('Sue and Rose')).to.equal(0);
    expect(sentiment('to sue')).to.equal(-2);
  });
});
