/**
 * The repetition penalty compared with the reference: tokens of prompt and text, each once however often it occurs, rows of
 * several prompts and lengths, later parts of the rows, and nothing beyond.
 */
import { expect } from 'chai';
import { penalize } from '../../src/ops/penalize.ts';
import { INVALID_TOKEN } from '../../src/ops/sample.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectClose, random } from '../reference/compare.ts';
import { penalized } from '../reference/sampling.ts';
import { testGpu } from '../support/gpu.ts';
import { guards } from '../support/guard.ts';
import { placesOf } from '../support/places.ts';

interface Case {
  vocabulary: number;
  prompts: readonly (readonly number[])[];
  /** For each live row its prompt and its sequence. */
  rows: readonly (readonly [number, number])[];
  sequences: number;
  /** One list per step. */
  tokens: readonly (readonly number[])[];
  penalty: number;
  firstRow?: number;
}

/** Logits before and after; the numbers after a row are NaN and must stay so. */
async function run({ vocabulary, prompts, rows, sequences, tokens, penalty, firstRow = 0 }: Case) {
  const { gpu, check } = guards(await testGpu());
  const starts = prompts.map((_, p) => prompts.slice(0, p).reduce((sum, { length }) => sum + length, 0));
  const places = rows.map(([p, slot]) => {
    const prompt = starts[p];
    return { prompt, promptEnd: prompt + prompts[p].length, slot };
  });
  const stride = vocabulary + 3;
  const count = rows.length - firstRow;
  const { normals } = random(vocabulary);
  const before = Array.from({ length: count }, () => Float32Array.from(normals(vocabulary, 3)));
  const values = new Float32Array(count * stride).fill(Number.NaN);
  before.forEach((row, r) => {
    values.set(row, r * stride);
  });
  const logits = Tensor.from(gpu, values, [count, stride]);
  const steps = Math.max(1, tokens.length);
  const written = new Uint32Array(steps * sequences);
  tokens.forEach((of, step) => {
    written.set(of, step * sequences);
  });
  const live = {
    places: placesOf(gpu, places),
    tokens: Tensor.from(gpu, written, [steps, sequences]),
    eos: Tensor.from(gpu, Uint32Array.of(INVALID_TOKEN), [1]),
  };
  const repetition = {
    penalty,
    prompts: Tensor.from(gpu, Uint32Array.from(prompts.flat()), [prompts.flat().length]),
    longestPrompt: Math.max(...prompts.map(({ length }) => length)),
  };
  const tape = Tape.forInference(gpu);
  penalize(tape, logits, live, repetition, { step: tokens.length, firstRow, vocabulary });
  tape.dispose();
  const after = await logits.toArray(gpu);
  await check();
  return { before, after: before.map((_, r) => after.subarray(r * stride, (r + 1) * stride)) };
}

async function expectPenalized(given: Case): Promise<void> {
  const { before, after } = await run(given);
  const { vocabulary, prompts, rows, tokens, penalty, firstRow = 0 } = given;
  before.forEach((row, r) => {
    const [p, sequence] = rows[firstRow + r];
    const written = tokens.map((step) => step[sequence]).filter((id) => id < vocabulary);
    const found = after[r];
    // One multiplication or division.
    const expected = penalized(row, [...prompts[p], ...written], penalty);
    expectClose(found.subarray(0, vocabulary), expected, { relative: 3e-7 });
    expect([...found.subarray(vocabulary)].every(Number.isNaN)).to.equal(true);
  });
}

describe('penalize', () => {
  for (const penalty of [1.3, 0.6]) {
    it(`changes each token of prompt and text once, penalty ${penalty}`, () =>
      expectPenalized({
        vocabulary: 41,
        prompts: [[3, 3, 3, 40, 0], [7]],
        rows: [
          [0, 0],
          [0, 1],
          [1, 3],
        ],
        sequences: 4,
        // Sequence 2 has ended and has no row; 3 has a token of its prompt again, and an invalid one, for a row without a
        // distribution.
        tokens: [
          [3, 31, 5, 7],
          [32, 31, 5, INVALID_TOKEN],
        ],
        penalty,
      }));
  }

  it('covers the prompt at the first step, and the rows of a later part', () =>
    expectPenalized({
      vocabulary: 64,
      prompts: [[63, 31, 32], [1], [0, 0, 0, 0, 0, 0, 0, 62]],
      rows: [
        [0, 0],
        [1, 1],
        [2, 2],
        [2, 3],
      ],
      sequences: 4,
      tokens: [],
      penalty: 2,
      firstRow: 1,
    }));

  it('handles a long text: more tokens than a workgroup, most of them repeated', async () => {
    const { ints } = random(8);
    await expectPenalized({
      vocabulary: 1003,
      prompts: [[...ints(700, 300)], [...ints(129, 1003)]],
      rows: [
        [0, 0],
        [1, 1],
      ],
      sequences: 2,
      tokens: Array.from({ length: 90 }, () => [...ints(2, 1003)]),
      penalty: 1.1,
    });
  });
});
