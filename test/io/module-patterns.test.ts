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
const MATCHED: [string[], number[]][] = [
  [['q_proj'], [0, 0, -1, -1, -1]],
  [['proj'], [-1, -1, -1, -1, -1]],
  [['.*_proj'], [0, 0, 0, -1, -1]],
  [['^model.layers.0.self_attn.q_proj'], [0, -1, -1, -1, -1]],
  [['^layers\\.0\\..*'], [-1, -1, -1, -1, -1]],
  [['layers\\.\\d\\..*'], [0, -1, 0, -1, -1]],
  [['layers\\.\\d+\\.self_attn\\.(q|k)_proj'], [0, 0, -1, -1, -1]],
  [
    ['layers.[0-4].mlp.up_proj', 'up_proj'],
    [-1, -1, 0, -1, -1],
  ],
  [
    ['up_proj', 'layers.[0-4].mlp.up_proj'],
    [-1, -1, 0, -1, -1],
  ],
  [
    ['.*\\.[0-9]+\\.(?:self_attn|mlp)\\..*', 'lm_head'],
    [0, 0, 0, 1, -1],
  ],
  [['lm_head$'], [-1, -1, -1, 0, -1]],
  [['layers.1.mlp'], [-1, -1, -1, -1, -1]],
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
    expect(firstMatching(keys)(module)).to.equal(-1);
    // Measured: 1 ms. The bound is for machines under load; patterns that are refused take far longer.
    expect(performance.now() - start).to.be.below(2000);
  });
});
