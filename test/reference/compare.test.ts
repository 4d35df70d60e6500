/** Tests of the comparisons themselves, which must fail for different arrays, and of random numbers. */
import { expect } from 'chai';
import { dot } from './arrays.ts';
import { expectClose, random, relativeL2 } from './compare.ts';

describe('reference: comparing', () => {
  it('reports the worst element and rejects differences', () => {
    expect(() => expectClose([1, 2, 3.5], [1, 2, 3], { absolute: 0.1, cols: 2, label: 'y' })).to.throw(
      /^y: 1 of 3 .* worst at 2 \(row 1, column 0\): 3.5 instead of 3$/,
    );
    expect(() => expectClose([1, NaN], [1, 2], { l2: 1 })).to.throw(/worst at 1: NaN/);
    expect(() => expectClose([NaN], [NaN], { absolute: 1 })).to.throw(/NaN instead of NaN/);
    expect(() => expectClose([Infinity], [1], { relative: 1 })).to.throw(/Infinity instead of 1/);
    expect(() => expectClose([1], [1, 2], { absolute: 1 })).to.throw('1 elements instead of 2');
    expect(() => expectClose([1, 1.1], [1, 1], { l2: 0.01 })).to.throw(/worst at 1/);
    expectClose([-Infinity, 1 + 1e-9], [-Infinity, 1], { relative: 1e-8 });
    expectClose([], [], {});
    expect(relativeL2([3, 4], [0, 0])).to.equal(5);
  });

  it('random numbers repeat with their seed and have the right distribution', () => {
    const values = random(42).normals(20000, 2);
    expectClose(values, random(42).normals(20000, 2), {});
    expect(relativeL2(random(43).normals(100), random(42).normals(100))).to.be.greaterThan(0.5);
    const mean = values.reduce((sum, x) => sum + x) / values.length;
    const variance = dot(values, values) / values.length;
    expect(Math.abs(mean)).to.be.lessThan(0.06);
    expect(Math.abs(variance - 4)).to.be.lessThan(0.2);
    expect(new Set(random(1).ints(200, 7))).to.have.property('size', 7);
  });
});
