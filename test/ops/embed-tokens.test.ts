/** Embeddings of the tokens that the previous step has chosen, for any set of live rows, in every format. */
import { embedTokens } from '../../src/ops/embed-tokens.ts';
import type { LiveSequences } from '../../src/ops/sample.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectClose } from '../reference/compare.ts';
import { testGpu } from '../support/gpu.ts';
import { guards } from '../support/guard.ts';
import { placesOf } from '../support/places.ts';
import { DTYPES, randomWeights, weightsFrom } from '../support/weights.ts';

describe('embed-tokens', () => {
  for (const dtype of DTYPES) {
    it(`a table in ${dtype}`, async () => {
      const { gpu, check } = guards(await testGpu());
      const [vocabulary, cols, sequences] = [5, 256, 3];
      const { data, values } = randomWeights(dtype, vocabulary * cols, 3);
      const table = weightsFrom(gpu, data, [vocabulary, cols], dtype);
      // The last row begins in step 1, and step 3 reads what overwrote step 0. For an invalid token, the last one of the vocabulary is used.
      const places = placesOf(gpu, [{ slot: 2 }, { slot: 0 }, { slot: 1, start: 1, first: 2 }]);
      const tokens = Tensor.from(gpu, Uint32Array.of(3, 4, 1, 2, 0, 0xffffffff), [2, sequences], 'tokens');
      for (const [step, ids] of [
        [1, [1, 3, 2]],
        [2, [4, 2, 0]],
        [3, [1, 3, 4]],
      ] as const) {
        const tape = Tape.forInference(gpu);
        const live = { places, tokens } as LiveSequences;
        const found = await embedTokens(tape, table, live, { step, scale: 1.5 }).toArray(gpu);
        const expected = ids.flatMap((id) =>
          [...values.subarray(id * cols, (id + 1) * cols)].map((v) => 1.5 * v),
        );
        expectClose(found, expected, { relative: 1e-6 });
      }
      await check();
    });
  }
});
