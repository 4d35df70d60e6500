/** Embeddings of the tokens that the previous step has chosen, for any set of live rows, in every format. */
import { embedTokens } from '../../src/ops/embed-tokens.ts';
import type { LiveSequences } from '../../src/ops/sample.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectClose } from '../reference/compare.ts';
import { testGpu } from '../support/gpu.ts';
import { guards } from '../support/guard.ts';
import { DTYPES, randomWeights, weightsFrom } from '../support/weights.ts';

describe('embed-tokens', () => {
  for (const dtype of DTYPES) {
    it(`a table in ${dtype}`, async () => {
      const { gpu, check } = guards(await testGpu());
      const [vocabulary, cols, sequences] = [5, 256, 3];
      const { data, values } = randomWeights(dtype, vocabulary * cols, 3);
      const table = weightsFrom(gpu, data, [vocabulary, cols], dtype);
      // Sequence 1 has ended and has no row. For an invalid token, the last one of the vocabulary is used.
      const places = Tensor.from(gpu, Uint32Array.of(0, 4, 6, 2, 4, 6, 20, 0), [2, 4], 'places');
      const tokens = Tensor.from(gpu, Uint32Array.of(3, 4, 1, 2, 0, 0xffffffff), [2, sequences], 'tokens');
      for (const [step, ids] of [
        [1, [1, 3]],
        [2, [4, 2]],
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
