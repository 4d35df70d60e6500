import { expect } from 'chai';
import { areReadable, firstMatching } from '../../src/io/module-patterns.ts';

const MODULES = [
  'model.layers.0.self_attn.q_proj',
  'model.layers.10.self_attn.q_proj',
  'model.layers.1.mlp.up_proj',
  'lm_head',
  'transformer.h.1.attn.c_attn',
];

/** Keys, and the index of the one that PEFT 0.21.2 (`get_pattern_key`) takes for each module. */
const MATCHED: [string[], (number | undefined)[]][] = [
  [['q_proj'], [0, 0, undefined, undefined, undefined]],
  [['proj'], [undefined, undefined, undefined, undefined, undefined]],
  [['.*_proj'], [0, 0, 0, undefined, undefined]],
  [['^model.layers.0.self_attn.q_proj'], [0, undefined, undefined, undefined, undefined]],
  [['^layers\\.0\\..*'], [undefined, undefined, undefined, undefined, undefined]],
  [['layers\\.\\d\\..*'], [0, undefined, 0, undefined, undefined]],
  [['layers\\.\\d+\\.self_attn\\.(q|k)_proj'], [0, 0, undefined, undefined, undefined]],
  [
    ['layers.[0-4].mlp.up_proj', 'up_proj'],
    [undefined, undefined, 0, undefined, undefined],
  ],
  [
    ['up_proj', 'layers.[0-4].mlp.up_proj'],
    [undefined, undefined, 0, undefined, undefined],
  ],
  [
    ['.*\\.[0-9]+\\.(?:self_attn|mlp)\\..*', 'lm_head'],
    [0, 0, 0, 1, undefined],
  ],
  [['lm_head$'], [undefined, undefined, undefined, 0, undefined]],
  [['layers.1.mlp'], [undefined, undefined, undefined, undefined, undefined]],
];

describe('io/module-patterns', () => {
  for (const [keys, expected] of MATCHED) {
    it(`matches ${keys.join(', ')} as PEFT does`, () => {
      expect(areReadable(keys)).to.equal(true);
      expect(MODULES.map(firstMatching(keys))).to.deep.equal(expected);
    });
  }

  it('refuses what may take long, and what it does not know', () => {
    const refused = [
      '(a+)+b',
      '.*a.*b.*c',
      '\\d+\\d+x',
      '(?=a)',
      '(a|b)*',
      '[^a]',
      'a{9}',
      '\\w',
      '',
      'q_proj|up_proj',
      '(',
      '[z-',
      '[z-a]',
    ];
    for (const key of refused) expect(areReadable([key]), key).to.equal(false);
    expect(areReadable(Array.from({ length: 33 }, (_, i) => `^m${i}`))).to.equal(false);
    expect(areReadable(Array.from({ length: 10_000 }, (_, i) => `m${i}`))).to.equal(true);
  });

  it('takes milliseconds for the slowest pattern and name', () => {
    const module = 'a.'.repeat(64);
    const keys = Array.from({ length: 32 }, (_, i) => `a.*${i}b`);
    expect(areReadable(keys)).to.equal(true);
    const start = performance.now();
    expect(firstMatching(keys)(module)).to.equal(undefined);
    // Measured: 1 ms. Two repetitions take 60 times as long.
    expect(performance.now() - start).to.be.below(100);
  });
});
