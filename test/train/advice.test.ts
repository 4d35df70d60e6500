/** The advice after a run: each diagnosis just above and below its threshold, and no advice after a good run. */
import { expect } from 'chai';
import type { Metrics } from '../../src/train/events.ts';
import { adviceOn, DIAGNOSES, type RunFigures } from '../../src/train/measures/advice.ts';
import { sampleFigures } from '../../src/train/measures/sample-figures.ts';

const STEPS = 40;

/** A run whose figures change linearly from one value to another and stay there; held-out figures are given as measured. */
function run(
  figures: Readonly<Record<string, readonly [from: number, to: number]>>,
  held: readonly Metrics[] = [],
  more: Partial<RunFigures> = {},
): RunFigures {
  const at = (step: number) => Math.min(1, (step - 1) / (0.7 * STEPS));
  const steps = Array.from({ length: STEPS }, (_, i) => {
    const values = Object.entries(figures).map(([name, [from, to]]) => [
      name,
      from + at(i + 1) * (to - from),
    ]);
    return { type: 'step' as const, step: i + 1, epoch: 0, metrics: Object.fromEntries(values) };
  });
  const evaluations = held.map((metrics, i) => ({
    type: 'evaluate' as const,
    step: ((i + 1) * STEPS) / held.length,
    metrics: Object.fromEntries(Object.entries(metrics).map(([name, value]) => [`eval_${name}`, value])),
  }));
  const config = { learningRate: 1e-5, beta: 0.1, maxSteps: -1 };
  return { log: [...steps, ...evaluations], examples: 640, rank: 16, config, ...more };
}

const names = (figures: RunFigures) => adviceOn(figures).map(({ name }) => name);
const told = (figures: RunFigures) => adviceOn(figures).map(({ sentence }) => `${sentence}`);

/** `align` at the end of a good run. */
const PAIRS = {
  loss: [Math.LN2, 0.39],
  'rewards/margins': [0, 3],
  'rewards/accuracies': [0, 0.9],
  'log_ratio/chosen': [0, 1],
  'log_ratio/rejected': [0, -5],
  'logps/chosen': [-60, -59],
} as const;
const WELL: Metrics = {
  loss: 0.24,
  'rewards/margins': 2.97,
  'rewards/accuracies': 0.89,
  'log_ratio/chosen': 1.07,
  'log_ratio/rejected': -4.87,
  'logps/chosen': -59,
};
const STORIES = { fluency: -1.5, distinct3: 0.9, length: 40, ended: 0.4 };
/** RLOO in a good run. */
const WRITTEN = {
  loss: [0.1, 0.1],
  reward: [1, 4],
  'kl/sequence': [0, 2],
  entropy: [2, 1],
  'completions/mean_length': [30, 30],
  'completions/clipped_ratio': [0.5, 0.5],
} as const;
const TEXTS = { loss: [2.5, 1.5] } as const;

describe('train/advice', () => {
  it('is empty for runs that went well', () => {
    const samples = { before: STORIES, after: { fluency: -1.7, distinct3: 0.85, length: 38, ended: 0.35 } };
    for (const figures of [run(PAIRS, [WELL], { samples }), run(WRITTEN), run(TEXTS), run({ ...TEXTS }, [])])
      expect(adviceOn(figures)).to.deep.equal([]);
    expect(adviceOn({ ...run(PAIRS), log: [] })).to.deep.equal([]);
  });

  it('detects a run without progress, whatever its accuracy, and names the settings that help', () => {
    const still = {
      ...WELL,
      'rewards/margins': 0.04,
      'rewards/accuracies': 1,
      'log_ratio/chosen': 0.2,
      'log_ratio/rejected': -0.2,
    };
    const figures = run({ ...PAIRS, 'rewards/margins': [0, 0.05] }, [{ ...still, loss: 0.67 }]);
    expect(told(figures)).to.deep.equal([
      'The run hardly moved the model: a margin of 0.040 prefers the chosen completion with a probability of 51%, in spite of the accuracy of ' +
        '100%. Raise learningRate, now 1e-5 (adapters usually need 1e-4 to 1e-3), or run for more than 40 steps (numTrainEpochs).',
    ]);
    const [advice] = adviceOn(figures);
    expect(advice?.sentence.toString((name) => `<${name}>`)).to.include('Raise <learningRate>, now');
  });

  /** The values at which each diagnosis is made, and values just short of it. */
  const CASES: [name: string, found: RunFigures, not: RunFigures][] = [
    [
      'coin toss',
      run({ loss: [Math.LN2, 0.69], margin: [0, 0.05], accuracy: [0, 0.6] }, [{ margin: 0.09 }]),
      run({ loss: [Math.LN2, 0.6], margin: [0, 0.05], accuracy: [0, 0.6] }, [{ margin: 0.11 }]),
    ],
    ['no KL', run({ ...WRITTEN, 'kl/sequence': [0, 0.019] }), run({ ...WRITTEN, 'kl/sequence': [0, 0.05] })],
    ['level loss', run({ loss: [2.5, 2.5] }), run({ loss: [2.5, 2.4] })],
    [
      'chosen less likely',
      run(PAIRS, [{ ...WELL, 'log_ratio/chosen': -13, 'logps/chosen': -73 }]),
      run(PAIRS, [{ ...WELL, 'log_ratio/chosen': -11, 'logps/chosen': -71 }]),
    ],
    [
      'held-out loss rising',
      run(PAIRS, [{ ...WELL, loss: 0.2 }, WELL]),
      run(PAIRS, [{ ...WELL, loss: 0.235 }, WELL]),
    ],
    [
      'too few rows',
      run({ ...PAIRS, loss: [Math.LN2, 0] }, [WELL], { examples: 11 }),
      run({ ...PAIRS, loss: [Math.LN2, 0] }, [WELL], { examples: 200 }),
    ],
    [
      'not fluent',
      run(PAIRS, [WELL], { samples: { before: STORIES, after: { ...STORIES, fluency: -2.2 } } }),
      run(PAIRS, [WELL], { samples: { before: STORIES, after: { ...STORIES, fluency: -2.19 } } }),
    ],
    [
      'far from the reference',
      run({ ...WRITTEN, 'kl/sequence': [25, 25] }),
      run({ ...WRITTEN, 'kl/sequence': [20, 20] }),
    ],
    [
      'repeats itself',
      run(PAIRS, [WELL], { samples: { before: STORIES, after: { ...STORIES, distinct3: 0.59 } } }),
      run(PAIRS, [WELL], { samples: { before: STORIES, after: { ...STORIES, distinct3: 0.61 } } }),
    ],
    ['one answer left', run({ ...WRITTEN, entropy: [2, 0] }), run({ ...WRITTEN, entropy: [2, 0.5] })],
    [
      'no end',
      run(PAIRS, [WELL], { samples: { before: STORIES, after: { ...STORIES, ended: 0.19 } } }),
      run(PAIRS, [WELL], {
        samples: { before: { ...STORIES, ended: 0.19 }, after: { ...STORIES, ended: 0 } },
      }),
    ],
  ];

  it('has a case for every diagnosis', () => {
    expect(CASES.map(([name]) => name)).to.deep.equal(DIAGNOSES.map(({ name }) => name));
  });

  for (const [name, found, not] of CASES) {
    it(`detects ${name}, but not slightly smaller values`, () => {
      expect(names(found)).to.deep.equal([name]);
      expect(names(not)).to.deep.equal([]);
      // A whole sentence that names a setting, by the names of the interface in use.
      expect(adviceOn(found)[0]?.sentence.toString((setting) => `--${setting}`)).to.match(
        /^[A-Z].*--\w+.*\.$/,
      );
    });
  }

  it('detects a held-out loss above that of the original model, even with a single evaluation', () => {
    expect(told(run(PAIRS, [{ ...WELL, loss: 0.8 }])).join()).to.include(
      'was 0.693 before training and is 0.800 now',
    );
    // A loss that includes a cross-entropy has no initial value that is the same for all rows.
    expect(names(run({ ...PAIRS, nll_loss: [1, 1] }, [{ ...WELL, loss: 0.8 }]))).to.deep.equal([]);
  });

  it('reads the fraction of ended completions from the policy’s own completions too', () => {
    expect(names(run({ ...WRITTEN, 'completions/clipped_ratio': [0.5, 1] }))).to.deep.equal(['no end']);
  });
});

describe('train/sample-figures', () => {
  it('are the mean log-probability of a token, distinct trigrams, the length, and the fraction that ended', () => {
    const texts = [
      { ids: [1, 2, 3, 1, 2, 3], finished: 'length' as const },
      { ids: [1, 2, 3, 9], finished: 'eos' as const },
      { ids: [4, 5], finished: 'eos' as const },
    ];
    const { fluency, distinct3, length, ended } = sampleFigures(texts, [-6, -3, -3]);
    expect(fluency).to.equal(-1);
    // 123, 231, 312, 123 and 123, 239.
    expect(distinct3).to.be.closeTo(4 / 6, 1e-12);
    expect(length).to.equal(4);
    expect(ended).to.be.closeTo(2 / 3, 1e-12);
    expect(sampleFigures([], [])).to.deep.equal({ fluency: 0, distinct3: 1, length: 0, ended: 0 });
  });
});
