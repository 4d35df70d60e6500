/** One new token with a cache: both kernels compared with the float64 attention over the whole sequence. */
import { expect } from 'chai';
import { cachedAttention, decodeAttention } from '../../src/ops/decode-attention.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { attention } from '../reference/attention.ts';
import { expectClose, random } from '../reference/compare.ts';
import { testGpu } from '../support/gpu.ts';
import { guards } from '../support/guard.ts';
import { placesOf } from '../support/places.ts';

/** Prompts of these lengths; each sequence continues one of them. */
const PROMPTS = [1, 6, 42, 123];
const SEQUENCES = [2, 0, 1, 1, 3, 2];
const CAPACITY = 8;

interface Case {
  heads: number;
  kvHeads: number;
  headDim: number;
  cached: number;
  window?: number;
  softCap?: number;
}

const CASES: readonly Case[] = [
  { heads: 1, kvHeads: 1, headDim: 4, cached: 0 },
  { heads: 6, kvHeads: 2, headDim: 8, cached: 3 },
  { heads: 6, kvHeads: 3, headDim: 16, cached: 6 },
  { heads: 4, kvHeads: 4, headDim: 36, cached: 1 },
  { heads: 3, kvHeads: 1, headDim: 64, cached: 2 },
  { heads: 2, kvHeads: 1, headDim: 256, cached: 5 },
  { heads: 4, kvHeads: 2, headDim: 12, cached: 0, window: 1 },
  { heads: 4, kvHeads: 2, headDim: 12, cached: 6, window: 4 },
  { heads: 4, kvHeads: 2, headDim: 12, cached: 3, window: 40 },
  { heads: 2, kvHeads: 1, headDim: 8, cached: 3, window: 75 },
  { heads: 4, kvHeads: 2, headDim: 20, cached: 3, window: 40, softCap: 1.5 },
];

describe('decode attention', () => {
  for (const { heads, kvHeads, headDim, cached, window, softCap } of CASES) {
    for (const wide of [false, true]) {
      const kind = wide ? 'a workgroup a head' : 'a thread a head';
      it(`${heads} heads of ${headDim}, ${kvHeads} of keys, ${cached} tokens of its own, ${window ? `a window of ${window}, ` : ''}${softCap ? 'a soft cap, ' : ''}${kind}`, async () => {
        const { gpu, check } = guards(await testGpu());
        const { normals } = random(heads + headDim);
        const width = kvHeads * headDim;
        const promptRows = PROMPTS.reduce((a, b) => a + b);
        const starts = PROMPTS.map((_, i) => PROMPTS.slice(0, i).reduce((a, b) => a + b, 0));
        const cacheRows = promptRows + SEQUENCES.length * CAPACITY;
        // Scores spread enough that the softmax matters.
        const [keys, values] = [
          Float32Array.from(normals(cacheRows * width, 2)),
          Float32Array.from(normals(cacheRows * width)),
        ];
        // Live rows in their own order, one sequence left out.
        const live = [4, 0, 5, 1, 2];
        const B = live.length;
        const [query, key, value] = [heads * headDim, width, width].map((cols) =>
          Float32Array.from(normals(B * cols)),
        );
        const ownStart = (s: number) => promptRows + s * CAPACITY;
        // Rows are refilled at different times: the third one has more tokens of its own than the others. The last one is in
        // its first step, with its prompt's last token as the input.
        const step = cached + 2;
        const startOf = (row: number) => (row === 2 ? 0 : row === B - 1 ? step : 1);
        const cachedOf = (row: number) => Math.max(0, step - startOf(row) - 1);
        const promptOf = (row: number) => PROMPTS[SEQUENCES[live[row]]] - (row === B - 1 ? 1 : 0);
        const places = live.map((s, row) => {
          const prompt = starts[SEQUENCES[s]];
          const promptEnd = prompt + PROMPTS[SEQUENCES[s]];
          return { prompt, promptEnd, own: ownStart(s), start: startOf(row) };
        });

        const tensor = (data: Float32Array | Uint32Array, cols: number) =>
          Tensor.from(gpu, data, [data.length / cols, cols]);
        const tape = Tape.forInference(gpu);
        const cache = { keys: tensor(keys, width), values: tensor(values, width) };
        const at = placesOf(gpu, places);
        const options = { heads, kvHeads, headDim, step, wide, window, softCap };
        const q = tensor(query, heads * headDim);
        const y = decodeAttention(tape, q, tensor(key, width), tensor(value, width), cache, at, options);
        // The same from the cache alone, which contains the new key and value by now.
        const again = cachedAttention(tape, q, cache, at, options);
        const [found, foundAgain, keysAfter, valuesAfter] = [
          await y.toArray(gpu),
          await again.toArray(gpu),
          await cache.keys.toArray(gpu),
          await cache.values.toArray(gpu),
        ];

        for (const [row, s] of live.entries()) {
          const p = SEQUENCES[s];
          const seen = [
            ...Array.from({ length: promptOf(row) }, (_, i) => starts[p] + i),
            ...Array.from({ length: cachedOf(row) }, (_, i) => ownStart(s) + i),
          ];
          const tokens = seen.length + 1;
          const take = (all: Float32Array, own: Float32Array) => [
            ...seen.flatMap((at) => [...all.subarray(at * width, (at + 1) * width)]),
            ...own.subarray(row * width, (row + 1) * width),
          ];
          const q = new Float64Array(tokens * heads * headDim);
          const last = (tokens - 1) * heads * headDim;
          q.set(query.subarray(row * heads * headDim, (row + 1) * heads * headDim), last);
          const spans = Array.from({ length: tokens }, () => [0, 0, 0, tokens]).flat();
          const shape = { tokens, heads, kvHeads, headDim, window, softCap };
          const { out } = attention(q, take(keys, key), take(values, value), spans, shape);
          expectClose(
            found.subarray(row * heads * headDim, (row + 1) * heads * headDim),
            out.subarray(last),
            {
              absolute: 1e-5,
              relative: 1e-5,
              label: `sequence ${s}`,
            },
          );
          keys.set(key.subarray(row * width, (row + 1) * width), (ownStart(s) + cachedOf(row)) * width);
          values.set(value.subarray(row * width, (row + 1) * width), (ownStart(s) + cachedOf(row)) * width);
        }
        expect(foundAgain).to.deep.equal(found);
        // The new token is stored, and nothing else has changed.
        expect(keysAfter).to.deep.equal(keys);
        expect(valuesAfter).to.deep.equal(values);
        await check();
      });
    }
  }
});
