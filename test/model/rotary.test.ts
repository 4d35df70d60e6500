/** Frequencies of rotary positions, plain and scaled, compared with transformers' code for the rule. */
import { expect } from 'chai';
import { rotaryFrequencies } from '../../src/model/rotary.ts';
import { ropeFrequencies } from '../reference/rope.ts';

describe('rotary', () => {
  it('has geometric frequencies', () => {
    expect([...rotaryFrequencies(16, { theta: 500 })]).to.deep.equal([...ropeFrequencies(16, 500)]);
  });

  it('divides all of them by a linear factor', () => {
    const expected = ropeFrequencies(8, 1e4).map((frequency) => frequency / 8);
    expect([...rotaryFrequencies(8, { theta: 1e4, linearFactor: 8 })]).to.deep.equal([...expected]);
  });

  it('reduces frequencies with too few rotations over the original context, like Llama 3', () => {
    const [factor, low, high, context] = [32, 1, 4, 8192];
    const plain = ropeFrequencies(64, 5e5);
    const kinds = new Set<string>();
    const expected = plain.map((frequency) => {
      const wavelength = (2 * Math.PI) / frequency;
      if (wavelength < context / high) {
        kinds.add('kept');
        return frequency;
      }
      if (wavelength > context / low) {
        kinds.add('divided');
        return frequency / factor;
      }
      kinds.add('between');
      const smooth = (context / wavelength - low) / (high - low);
      return ((1 - smooth) * frequency) / factor + smooth * frequency;
    });
    const llama3 = {
      factor,
      lowFreqFactor: low,
      highFreqFactor: high,
      originalMaxPositionEmbeddings: context,
    };
    const found = rotaryFrequencies(64, { theta: 5e5, llama3 });
    expect([...kinds].sort()).to.deep.equal(['between', 'divided', 'kept']);
    for (const [i, value] of expected.entries()) expect(found[i] / value).to.be.closeTo(1, 1e-14);
  });
});
