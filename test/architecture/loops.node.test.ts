/**
 * Every loop of every shader has a known bound, from which `test/ops/loops.test.ts` computes the iterations of each kernel at the
 * largest sizes.
 */
import { expect } from 'chai';
import { expand } from '../../shaders/include.mjs';
import { reflect } from '../../src/gpu/reflect.ts';
import { constantsOf, roundsOf } from '../support/loop-rounds.ts';
import { headersOf } from '../support/wgsl-loops.ts';
import { filesBelow, textOf } from './sources.ts';

/** Values that depend on the contents of buffers. */
const IN_BUFFERS = { tokens: 1, likely: 1 };

describe('loops', () => {
  for (const file of filesBelow('shaders', '.wgsl')) {
    // The trial of a device exceeds the limit on purpose.
    if (/^shaders\/(lib|epilogues|formats|divergences)\/|device\/loops/.test(file)) continue;
    it(`have known bounds in ${file}`, () => {
      const shader = expand(file.slice('shaders/'.length), (path) => textOf(`shaders/${path}`));
      const { params, constants } = reflect(shader);
      const values = {
        ...constantsOf(constants, {}),
        ...IN_BUFFERS,
        ...Object.fromEntries(params.map(({ name }) => [name, 1])),
      };
      for (const header of headersOf(shader.code)) expect(roundsOf(header, values), header).to.be.at.least(0);
    });
  }

  it('do not occur in formats, epilogues and divergences, which are joined to kernels as text', () => {
    const joined = filesBelow('shaders', '.wgsl').filter((file) =>
      /\/(epilogues|formats|divergences)\//.test(file),
    );
    expect(joined.filter((file) => headersOf(textOf(file)).length > 0)).to.deep.equal([]);
  });
});
