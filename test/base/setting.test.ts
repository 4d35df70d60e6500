/** Ranges, messages, suggestions and declarations: the parts that settings are made of. */
import { expect } from 'chai';
import { inRange, type Range, rangeText } from '../../src/base/range.ts';
import { say, setting } from '../../src/base/sentence.ts';
import {
  boolean,
  camelCase,
  choice,
  names,
  number,
  numbers,
  separated,
  translated,
  whole,
} from '../../src/base/setting.ts';
import { didYouMean, nearest } from '../../src/base/suggest.ts';
import { InputError } from '../../src/io/errors.ts';

const about = { group: 'run', help: 'a setting', trl: null } as const;

describe('ranges', () => {
  const RANGES: [Range, string, inside: number[], outside: number[]][] = [
    [{}, '', [0, -1e300], [Number.NaN, Number.POSITIVE_INFINITY]],
    [{ from: 0 }, 'from 0', [0, 1e9], [-1e-9]],
    [{ above: 0 }, 'above 0', [1e-300], [0, -1]],
    [{ from: 0, upTo: 1 }, 'from 0 to 1', [0, 1], [1.1, -0.1]],
    [{ from: 0, below: 1 }, 'from 0 to below 1', [0, 0.9], [1]],
    [{ above: 0, upTo: 1 }, 'above 0, up to 1', [1, 0.1], [0, 1.1]],
    [{ above: 0, below: 1 }, 'above 0, below 1', [0.5], [0, 1]],
    [{ upTo: 1 }, 'up to 1', [1, -9], [2]],
    [{ below: 1 }, 'below 1', [-9, 0], [1]],
  ];
  for (const [range, text, inside, outside] of RANGES) {
    it(text || 'any finite number', () => {
      expect(rangeText(range)).to.equal(text);
      for (const value of inside) expect(inRange(value, range), `${value}`).to.equal(true);
      for (const value of outside) expect(inRange(value, range), `${value}`).to.equal(false);
    });
  }
});

describe('sentences', () => {
  it("use a front end's names of settings, in nested sentences too", () => {
    const inner = say`${setting('beta')} is ${0}`;
    const outer = say`${inner}, and ${setting('maxLength')} too`;
    expect(`${outer}`).to.equal('beta is 0, and maxLength too');
    expect(outer.toString((name) => `--${separated(name, '-')}`)).to.equal(
      '--beta is 0, and --max-length too',
    );
    const error = new InputError('settings', outer, say`Change ${setting('beta')}`).at('case 1');
    expect(error.message).to.equal('case 1: beta is 0, and maxLength too. Change beta.');
    expect(error.what).to.equal('beta is 0, and maxLength too');
    expect(error.worded((name) => name.toUpperCase())).to.equal(
      'case 1: BETA is 0, and MAXLENGTH too. Change BETA.',
    );
  });
});

describe('suggestions', () => {
  it('find the intended name, ignoring case and hyphens, and nothing if no name is close', () => {
    const known = ['learningRate', 'maxLength', 'beta', 'r'];
    for (const typed of ['learning_rate', 'LearningRate', 'learningrat', 'laerningRate', 'learning-rates'])
      expect(nearest(typed, known), typed).to.equal('learningRate');
    expect(nearest('betta', known)).to.equal('beta');
    for (const typed of ['gamma', 'x', '', 'length', 'a'.repeat(1e6)])
      expect(nearest(typed, known)).to.equal(undefined);
    expect(didYouMean('betta', known)).to.equal('Did you mean beta? ');
    expect(didYouMean('gamma', known)).to.equal('');
  });
});

describe('declarations', () => {
  it('accept values of their kind, and null if it is the default', () => {
    const cases: [{ fits(value: unknown): boolean; wayOut: string }, unknown[], unknown[], string][] = [
      [
        number({ ...about, default: 1, range: { from: 0 } }),
        [0, 1.5],
        [-1, '1', null, Number.NaN],
        'Give a number from 0',
      ],
      [
        number({ ...about, default: null, range: { from: 0, upTo: 1, reason: 'it is a share' } }),
        [null, 0.5],
        [2, undefined],
        'Give a number from 0 to 1: it is a share',
      ],
      [
        whole({ ...about, default: 1, range: { from: 1 } }),
        [1, 9],
        [0, 1.5, '1'],
        'Give a whole number from 1',
      ],
      [boolean({ ...about, default: false }), [true, false], [null, 0, 'true'], 'Give true or false'],
      [boolean({ ...about, default: null }), [true, null], [0], 'Give true or false'],
      [
        choice(['a', 'b'], { ...about, default: 'a' }),
        ['a', 'b'],
        ['c', null, 'constructor'],
        'Supported: a, b',
      ],
      [names({ ...about, default: ['a'] }), [['x'], []], ['x', [1], null], 'Give a list of names'],
      [
        numbers({ ...about, default: null }),
        [[1, 2], null],
        [1, ['1'], [Number.NaN]],
        'Give a list of numbers',
      ],
    ];
    for (const [{ fits, wayOut }, inside, outside, expected] of cases) {
      expect(wayOut).to.equal(expected);
      for (const value of inside) expect(fits(value), `${expected}: ${String(value)}`).to.equal(true);
      for (const value of outside) expect(fits(value), `${expected}: ${String(value)}`).to.equal(false);
    }
  });

  it("are accepted under TRL's name, the flag's and others", () => {
    const declared = whole({
      ...about,
      default: 1,
      range: {},
      trl: 'batch',
      flag: 'batch-size',
      aliases: ['bs'],
    });
    expect(declared.names).to.have.members(['batch', 'bs', 'batchSize']);
    expect(
      number({ ...about, default: 1, range: {}, trl: translated('steps', () => ({})) }).names,
    ).to.deep.equal(['steps']);
    expect(
      number({ ...about, default: 1, range: {}, trl: translated(null, () => ({})) }).names,
    ).to.deep.equal([]);
    expect(camelCase('per_device-size')).to.equal('perDeviceSize');
  });
});
