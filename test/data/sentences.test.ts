import { expect } from 'chai';
import { wholeSentences } from '../../src/data/sentences.ts';

describe('data: sentences', () => {
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
