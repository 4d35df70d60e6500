import { expect } from 'chai';
import { assertCloseToTensor, compareTensors, ulpDistance } from '../../src/testing/closeness.ts';
import { ODD_LENGTHS, oddShapes, upstreamGradient } from '../../src/testing/random.ts';

describe('closeness of tensors', () => {
  it('reports the first index that differs and the worst, by dimension', () => {
    const { pass, message } = compareTensors([1, 2.5, 3, 9, 5, 6], [1, 2, 3, 4, 5, 6], { shape: [2, 3] });
    expect(pass).equal(false);
    expect(message.split('\n')).deep.equal([
      '2 of 6 elements differ by more than rtol 0.0000013, atol 0.00001, ulp 0.',
      '  first at index 1 [0, 1]: got 2.5, expected 2 (off by 0.5, 2097152 ulp)',
      '  worst at index 3 [1, 0]: got 9, expected 4 (off by 5, 9437184 ulp)',
    ]);
  });

  it('uses a given tolerance, with the others zero', () => {
    expect(compareTensors([1.01], [1], { rtol: 0.02 }).pass).equal(true);
    expect(compareTensors([1.01], [1], { rtol: 0.005 }).pass).equal(false);
    expect(compareTensors([0.01], [0], { rtol: 1 }).pass).equal(false);
    expect(compareTensors([0.01], [0], { atol: 0.02 }).pass).equal(true);
    const next = 1 + 2 ** -23;
    expect(compareTensors([next], [1], { ulp: 1 }).pass).equal(true);
    expect(compareTensors([1 + 2 ** -22], [1], { ulp: 1 }).pass).equal(false);
    expect(compareTensors([next], [1], { atol: 0 }).pass).equal(false);
  });

  it('has the tolerance of float32 by default, and none for integers', () => {
    expect(compareTensors([1 + 1e-6], [1]).pass).equal(true);
    expect(compareTensors([1 + 1e-4], [1]).pass).equal(false);
    expect(compareTensors([100_001], Uint32Array.of(100_000)).pass).equal(false);
  });

  it('rejects NaN, infinities and other lengths', () => {
    for (const [actual, expected] of [
      [[Number.NaN], [1]],
      [[1], [Number.NaN]],
      [[Number.NaN], [Number.NaN]],
      [[Number.POSITIVE_INFINITY], [1]],
      [[1], [Number.POSITIVE_INFINITY]],
      [[1, 2], [1]],
    ] as const)
      expect(compareTensors(actual, expected, { rtol: 1, atol: 1, ulp: 100 }).pass, `${actual}`).equal(false);
    const infinite = [Number.POSITIVE_INFINITY];
    expect(compareTensors(infinite, infinite).pass).equal(true);
    expect(() => assertCloseToTensor([1, 2], [1])).throws('Expected 1 elements, got 2.');
  });

  it('counts float32 numbers across zero', () => {
    expect(ulpDistance(0, -0)).equal(0);
    expect(ulpDistance(2 ** -149, -(2 ** -149))).equal(2);
    expect(ulpDistance(1, Number.NaN)).equal(Number.POSITIVE_INFINITY);
  });
});

describe('numbers and shapes for tests', () => {
  it('have odd lengths, and each dimension once of size 1', () => {
    expect(ODD_LENGTHS.filter((length) => length % 4 !== 0).length).above(ODD_LENGTHS.length / 2);
    for (const dimensions of [1, 2, 3]) {
      const shapes = oddShapes(dimensions);
      for (let i = 0; i < dimensions; i++)
        expect(shapes.map((shape) => shape[i]))
          .include(1)
          .and.include(33);
    }
  });

  it('give the same gradient for the same seed only', () => {
    const gradient = upstreamGradient([3, 5]);
    expect(gradient)
      .length(15)
      .and.deep.equal(upstreamGradient([15]));
    expect(gradient).not.deep.equal(upstreamGradient([3, 5], 2));
  });
});
