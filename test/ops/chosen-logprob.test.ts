/**
 * Log-probabilities of chosen tokens compared with the float64 log-softmax, for any set of live rows; nothing else is
 * written.
 */
import { expect } from 'chai';
import { chosenLogprobs } from '../../src/ops/chosen-logprob.ts';
import { INVALID_TOKEN } from '../../src/ops/sample.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { random } from '../reference/compare.ts';
import { logSoftmax } from '../reference/softmax.ts';
import { testGpu } from '../support/gpu.ts';
import { guards } from '../support/guard.ts';
import { placesOf } from '../support/places.ts';

const UNTOUCHED = 7;

describe('chosen-logprob', () => {
  for (const [vocabulary, lanes, scale] of [
    [1, 1, 1],
    [5, 4, 1],
    [97, 1, 3],
    [1003, 64, 8],
    [50_257, 4, 2],
  ] as const) {
    it(`vocabulary of ${vocabulary}, ${lanes} threads a row`, async () => {
      const { gpu, check } = guards(await testGpu(), lanes);
      const { normals, ints } = random(vocabulary);
      const [steps, sequences, step] = [3, 4, 1];
      // Rows 0 to 2 use the logits of rows 1 and 2; sequence 1 has no row.
      const owners = [0, 3, 2];
      const firstRow = 1;
      const stride = vocabulary + 3;
      const rows = [0, 1].map(() => Float32Array.from(normals(vocabulary, scale)));
      if (vocabulary > 5) rows[1]?.fill(-Infinity, 1, 3);
      const values = new Float32Array(rows.length * stride).fill(Number.NaN);
      rows.forEach((row, r) => {
        values.set(row, r * stride);
      });
      const tokens = new Uint32Array(steps * sequences).fill(INVALID_TOKEN);
      const chosen = rows.map(() => (vocabulary > 5 ? 3 + ints(1, vocabulary - 3)[0] : vocabulary - 1));
      chosen.forEach((token, r) => {
        tokens[step * sequences + owners[firstRow + r]] = token;
      });
      const live = {
        places: placesOf(
          gpu,
          owners.map((slot) => ({ slot })),
        ),
        tokens: Tensor.from(gpu, tokens, [steps, sequences]),
        eos: Tensor.from(gpu, Uint32Array.of(INVALID_TOKEN), [1]),
      };
      const untouched = new Float32Array(steps * sequences).fill(UNTOUCHED);
      const logprobs = Tensor.from(gpu, untouched, [steps, sequences]);
      const logits = Tensor.from(gpu, values, [rows.length, stride]);
      chosenLogprobs(gpu, logits, live, logprobs, { step, firstRow, vocabulary });
      const found = await logprobs.toArray(gpu);
      await check();
      const expected = Array.from(untouched);
      rows.forEach((row, r) => {
        const exact = logSoftmax(row, { rows: 1, cols: vocabulary });
        expected[step * sequences + owners[firstRow + r]] = exact[chosen[r]];
      });
      // The sum is added in blocks of 256; the difference of logits up to 40 is rounded once.
      found.forEach((value, i) => {
        expect(value, `place ${i}`).to.be.closeTo(expected[i], 1e-5);
      });
    });
  }

  it('skips a row without a token', async () => {
    const gpu = await testGpu();
    const live = {
      places: placesOf(gpu, [{}]),
      tokens: Tensor.from(gpu, Uint32Array.of(INVALID_TOKEN), [1, 1]),
      eos: Tensor.from(gpu, Uint32Array.of(INVALID_TOKEN), [1]),
    };
    const logprobs = Tensor.from(gpu, Float32Array.of(UNTOUCHED), [1, 1]);
    const logits = Tensor.from(gpu, new Float32Array(6).fill(Number.NaN), [1, 6]);
    chosenLogprobs(gpu, logits, live, logprobs, { step: 0 });
    expect([...(await logprobs.toArray(gpu))]).to.deep.equal([UNTOUCHED]);
    for (const tensor of [live.places, live.tokens, live.eos, logprobs, logits]) gpu.pool.release(tensor);
  });
});
