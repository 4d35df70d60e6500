/**
 * The operations of a layer that are not products, attention and the norm, and the fused head, each forward alone and with
 * its backward pass, over the lengths and widths that decide what they cost.
 */
import { packSequences } from '../../../src/data/packing.ts';
import { attention } from '../../../src/ops/attention.ts';
import { rmsNorm } from '../../../src/ops/rms-norm.ts';
import { headLogprobs } from '../../../src/ops/token-logprob.ts';
import { Tensor } from '../../../src/tensor/tensor.ts';
import type { Case } from '../bench.ts';
import { tokens } from '../inputs.ts';
import { bothWaysRun, forwardRun, randomTensor } from './run.ts';

/** Operations per visible pair of tokens and number of a head's width: forward alone, and with the backward pass. */
const ATTENTION_FLOP = { forward: 4, both: 14 } as const;
type Way = keyof typeof ATTENTION_FLOP;
const WAYS: readonly Way[] = ['forward', 'both'];
const wayName = { forward: 'forward', both: 'and back' };

function attentionCase(length: number, headDim: number, way: Way, quick: boolean): Case {
  const heads = 4;
  const visible = (length * (length + 1)) / 2;
  return {
    id: `attention ${wayName[way]} ${length} × ${headDim}`,
    group: 'attention',
    size: { length, headDim, heads },
    work: { flop: ATTENTION_FLOP[way] * visible * heads * headDim },
    quick,
    async make(gpu) {
      const shape = [length, heads * headDim];
      const [q, k, v] = [1, 2, 3].map((seed) => randomTensor(gpu, seed, shape));
      const packed = packSequences([{ prompt: tokens(4, length, 100), completion: [] }]);
      const spans = Tensor.from(gpu, packed.spans, [length, 4], 'spans');
      const op = (tape: Parameters<typeof attention>[0]) =>
        attention(tape, q, k, v, spans, { heads, kvHeads: heads, headDim });
      if (way === 'forward') return forwardRun(gpu, op, [q, k, v, spans]);
      return bothWaysRun(gpu, op, [q, k, v], randomTensor(gpu, 5, shape), [spans]);
    },
  };
}

function normCase(rows: number, cols: number, quick: boolean): Case {
  return {
    id: `rms-norm and back ${rows} × ${cols}`,
    group: 'rms-norm',
    size: { rows, cols },
    // Forward reads x and writes y; backward reads x and dy and writes dx.
    work: { bytes: 5 * 4 * rows * cols },
    quick,
    async make(gpu) {
      const x = randomTensor(gpu, 1, [rows, cols]);
      const weight = randomTensor(gpu, 2, [cols]);
      const upstream = randomTensor(gpu, 3, [rows, cols]);
      return bothWaysRun(gpu, (tape) => rmsNorm(tape, x, weight, { eps: 1e-5 }), [x], upstream, [weight]);
    },
  };
}

function headCase(rows: number, vocabulary: number, quick: boolean): Case {
  const width = 64;
  return {
    id: `head and back ${rows} × ${vocabulary}`,
    group: 'head',
    size: { rows, vocabulary, width },
    // The logits, and the gradient of each hidden state.
    work: { flop: 4 * rows * vocabulary * width },
    quick,
    async make(gpu) {
      const hidden = randomTensor(gpu, 1, [rows, width]);
      const head = randomTensor(gpu, 2, [vocabulary, width], 0.2);
      const ids = Uint32Array.from(tokens(3, rows, vocabulary));
      const targets = Tensor.from(gpu, ids, [rows], 'targets');
      const upstream = randomTensor(gpu, 4, [rows]);
      const op = (tape: Parameters<typeof headLogprobs>[0]) =>
        headLogprobs(tape, hidden, head, targets).logprobs;
      return bothWaysRun(gpu, op, [hidden], upstream, [head, targets]);
    },
  };
}

export const LAYERS: readonly Case[] = [
  ...WAYS.flatMap((way) =>
    [64, 128, 256, 512, 1024].map((length) => attentionCase(length, 64, way, length === 64)),
  ),
  ...[16, 32, 128].map((headDim) => attentionCase(256, headDim, 'both', false)),
  ...[96, 576, 1024].map((cols) => normCase(1024, cols, cols === 96)),
  ...[1000, 8192, 32_768, 151_936].map((vocabulary) => headCase(128, vocabulary, vocabulary === 1000)),
  ...[32, 64, 256].map((rows) => headCase(rows, 8192, false)),
];
