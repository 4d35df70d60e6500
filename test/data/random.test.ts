import { expect } from 'chai';
import { kaimingUniform, Random, shuffle } from '../../src/data/random.ts';

describe('data/random', () => {
  it('always gives the same numbers', () => {
    const random = new Random(42);
    expect([random.bits(), random.bits(), random.bits()]).to.deep.equal([2108284404, 4173525462, 4212920789]);
    expect(Array.from(shuffle(8, 42, 0))).to.deep.equal([3, 5, 6, 1, 2, 7, 0, 4]);
  });

  it('gives every list of seeds a separate stream', () => {
    const seeds = [[], [0], [0, 0], [1], [1, 0], [0, 1], [-1], [2 ** 32], [2 ** 52]];
    expect(new Set(seeds.map((list) => new Random(...list).bits())).size).to.equal(seeds.length);
  });

  it('continues from a saved state', () => {
    const random = new Random(7);
    random.normal();
    const copy = Random.fromState(JSON.parse(JSON.stringify(random.save())));
    expect([copy.bits(), copy.uniform(), copy.normal()]).to.deep.equal([
      random.bits(),
      random.uniform(),
      random.normal(),
    ]);
  });

  it('has the moments of its distributions', () => {
    const random = new Random(3);
    const count = 100_000;
    let uniform = 0;
    let normal = 0;
    let square = 0;
    const faces = new Array<number>(6).fill(0);
    for (let i = 0; i < count; i++) {
      const value = random.uniform();
      if (!(value >= 0 && value < 1)) expect.fail(`${value} is not in [0, 1)`);
      uniform += value;
      const gauss = random.normal();
      normal += gauss;
      square += gauss * gauss;
      faces[random.below(6)]++;
    }
    // Five standard errors.
    expect(uniform / count).to.be.closeTo(0.5, (5 * Math.sqrt(1 / 12)) / Math.sqrt(count));
    expect(normal / count).to.be.closeTo(0, 5 / Math.sqrt(count));
    expect(square / count).to.be.closeTo(1, (5 * Math.SQRT2) / Math.sqrt(count));
    for (const face of faces)
      expect(face / count).to.be.closeTo(1 / 6, (5 * Math.sqrt(5 / 36)) / Math.sqrt(count));
  });

  it('shuffles every n into a permutation that depends on seed and epoch only', () => {
    for (const n of [0, 1, 2, 6, 42, 431]) {
      const order = shuffle(n, 1, 2);
      expect(Array.from(order).sort((a, b) => a - b)).to.deep.equal(Array.from({ length: n }, (_, i) => i));
      expect(shuffle(n, 1, 2)).to.deep.equal(order);
    }
    expect(shuffle(42, 1, 2)).to.not.deep.equal(shuffle(42, 1, 3));
    expect(shuffle(42, 1, 2)).to.not.deep.equal(shuffle(42, 2, 1));
  });

  it('puts each item at each position equally often', () => {
    const seen = new Array<number>(16).fill(0);
    const rounds = 20_000;
    for (let epoch = 0; epoch < rounds; epoch++) {
      for (const [place, item] of shuffle(4, 9, epoch).entries()) seen[4 * place + item]++;
    }
    for (const count of seen)
      expect(count / rounds).to.be.closeTo(0.25, (5 * Math.sqrt(3 / 16)) / Math.sqrt(rounds));
  });

  it('fills weights up to 1/√in, PyTorch’s bound for √5', () => {
    const weights = kaimingUniform(new Float32Array(4096), 64, new Random(0));
    const largest = weights.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    expect(largest).to.be.within(0.124, 0.125);
    expect(weights.reduce((sum, value) => sum + value, 0) / 4096).to.be.closeTo(0, 0.006);
  });
});
