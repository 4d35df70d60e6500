import { expect } from 'chai';
import { wholeSentences } from '../../src/data/sentences.ts';
import { ratedWords, sentiment } from '../../src/data/sentiment.ts';

describe('data/sentiment', () => {
  it('adds up the ratings of AFINN-165, in any case', () => {
    expect(sentiment('The HAPPY dog loved a sad cat.')).to.equal(3 + 3 - 2);
    expect(sentiment('')).to.equal(0);
    expect(sentiment('constructor toString __proto__')).to.equal(0);
  });

  it('takes words whole, with apostrophes and hyphens', () => {
    expect(sentiment('unhappy')).to.equal(-2);
    expect(sentiment('self-confident')).to.equal(2);
    expect(ratedWords('can’t be happy')).to.deep.equal([{ start: 9, end: 14, rating: 3 }]);
  });

  it('does not take a name for a word', () => {
    expect(sentiment('Sue and Rose')).to.equal(0);
    expect(sentiment('to sue')).to.equal(-2);
  });
});

describe('data/sentences', () => {
  it('ends a text where its last sentence ends', () => {
    const cases: [string, string | undefined][] = [
      [' He ran. She', ' He ran.'],
      [' He ran! "Stop!" she', ' He ran! "Stop!"'],
      [' Why?” asked', ' Why?”'],
      [' No end here', undefined],
      [' It cost 3.50 euros', undefined],
      [' Done.', ' Done.'],
      ['', undefined],
    ];
    for (const [text, expected] of cases) expect(wholeSentences(text), text).to.equal(expected);
  });
});
