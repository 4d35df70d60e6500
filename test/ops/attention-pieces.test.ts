/**
 * Attention in several dispatches, for batches and contexts longer than a kernel may loop over: bit-identical to one dispatch,
 * forward and backward, for every variant.
 */
import { expect } from 'chai';
import type { Gpu } from '../../src/gpu/device.ts';
import { ATTENTION_VARIANTS, attention, type Heads } from '../../src/ops/attention.ts';
import { decodeAttention } from '../../src/ops/decode-attention.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { random } from '../reference/compare.ts';
import { testGpu } from '../support/gpu.ts';
import { guards } from '../support/guard.ts';
import { asDevices, asking, requireSameBytes } from '../support/op.ts';
import { placesOf } from '../support/places.ts';
import { type Pair, spansOf } from '../support/spans.ts';

/** A limit that leaves about 40 keys per dispatch, or one tile. */
const FEW = 1024 + 40;

/** Sequences shorter and longer than a range, with ends at any position in it. */
const PAIRS: readonly Pair[] = [
  [3, 1, 9],
  [50, 42, 31],
  [1, 0, 0],
  [17, 60, 6],
  [2, 5, 0],
  [33, 0, 0],
];

const HEADS: readonly Heads[] = [
  { heads: 6, kvHeads: 2, headDim: 16 },
  { heads: 4, kvHeads: 1, headDim: 64, window: 37 },
  { heads: 2, kvHeads: 2, headDim: 136 },
];

const restricted = (gpu: Gpu, loopLimit: number): Gpu =>
  Object.create(gpu, { loopLimit: { value: loopLimit } });

/** Value and gradients; with `before`, gradients exist already, to which these are added. */
async function run(real: Gpu, heads: Heads, before: boolean) {
  const { gpu, check } = guards(real);
  const spans = spansOf(PAIRS);
  const tokens = spans.length / 4;
  const { normals } = random(heads.headDim);
  const widths = [heads.heads, heads.kvHeads, heads.kvHeads, heads.heads].map(
    (count) => count * heads.headDim,
  );
  const [q, k, v, dy] = widths.map((width) => {
    const tensor = Tensor.from(gpu, Float32Array.from(normals(tokens * width)), [tokens, width]);
    tensor.requiresGrad = true;
    if (before) tensor.grad = Tensor.from(gpu, Float32Array.from(normals(tokens * width)), [tokens, width]);
    return tensor;
  }) as [Tensor, Tensor, Tensor, Tensor];
  const dispatches = gpu.recorder.report.dispatches;
  const tape = Tape.forTraining(gpu);
  const y = attention(tape, q, k, v, Tensor.from(gpu, spans, [tokens, 4]), heads);
  y.grad = dy;
  const value = await y.toArray(gpu);
  tape.backward();
  const gradients = await Promise.all([q, k, v].map(({ grad }) => grad!.toArray(gpu)));
  await check();
  return { results: [value, ...gradients], dispatches: gpu.recorder.report.dispatches - dispatches };
}

describe('attention in pieces', () => {
  for (const { name } of ATTENTION_VARIANTS) {
    // Its kernels take minutes to compile for wide heads on a software adapter, and know windows by what a query sees, as
    // those of the others do.
    const all = name === 'workgroup' ? HEADS.slice(0, 1) : HEADS;
    for (const heads of all) {
      for (const before of heads === HEADS[0] ? [false, true] : [false]) {
        const what = `${heads.heads} heads of ${heads.headDim}${heads.window ? ' in a window' : ''}`;
        it(`by ${name}, ${what}${before ? ', added to gradients' : ''}`, async () => {
          // Only the register kernels depend on the kind of device.
          const devices = asDevices(asking(await testGpu(), name));
          for (const { gpu } of name === 'register' ? devices : devices.slice(0, 1)) {
            const whole = await run(gpu, heads, before);
            const pieces = await run(restricted(gpu, FEW), heads, before);
            expect(pieces.dispatches).to.be.above(whole.dispatches + 6);
            for (const [at, result] of ['y', 'dq', 'dk', 'dv'].entries())
              requireSameBytes(pieces.results[at], whole.results[at], result);
          }
        });
      }
    }
  }
});

/** Cache rows of each sequence: its prompt, which the first two share, and its own tokens. */
const CONTEXTS = [
  { prompt: [0, 150], own: 400 },
  { prompt: [0, 150], own: 500 },
  { prompt: [150, 151], own: 600 },
  { prompt: [151, 390], own: 700 },
];
const CACHED = 70;

describe('decode attention in pieces', () => {
  for (const { heads, kvHeads, headDim, window } of HEADS) {
    for (const wide of [false, true]) {
      const kind = wide ? 'a workgroup a head' : 'a thread a head';
      it(`${heads} heads of ${headDim}${window ? ' in a window' : ''}, ${kind}`, async () => {
        const limited = restricted(await testGpu(), 512 + 20 + headDim / 2);
        const outcomes = await Promise.all(
          [await testGpu(), limited].map(async (real) => {
            const { gpu, check } = guards(real);
            const { normals } = random(headDim);
            const tensor = (rows: number, cols: number) =>
              Tensor.from(gpu, Float32Array.from(normals(rows * cols)), [rows, cols]);
            const cache = { keys: tensor(800, kvHeads * headDim), values: tensor(800, kvHeads * headDim) };
            const [query, key, value] = [heads, kvHeads, kvHeads].map((count) => tensor(4, count * headDim));
            const places = CONTEXTS.map(({ prompt: [prompt, promptEnd], own }) => ({
              prompt,
              promptEnd,
              own,
            }));
            const dispatches = gpu.recorder.report.dispatches;
            const y = decodeAttention(
              Tape.forInference(gpu),
              query,
              key,
              value,
              cache,
              placesOf(gpu, places),
              { heads, kvHeads, headDim, window, step: 1 + CACHED, longest: 239 + CACHED, wide },
            );
            const count = gpu.recorder.report.dispatches - dispatches;
            const results = await Promise.all([y, cache.keys, cache.values].map((one) => one.toArray(gpu)));
            await check();
            return { results, count };
          }),
        );
        const [whole, pieces] = outcomes as [(typeof outcomes)[0], (typeof outcomes)[0]];
        expect(whole.count).to.equal(1);
        // The window fits into one tile of the wide kernel.
        if (!(wide && window)) expect(pieces.count).to.be.above(2);
        for (const [at, result] of ['y', 'keys', 'values'].entries())
          requireSameBytes(pieces.results[at], whole.results[at], result);
      });
    }
  }
});
