/**
 * Attention compared with its float64 reference: head widths that fill a block of 16 and that do not, grouped heads,
 * prefixes shared by two completions, sequences that end anywhere among the tokens of a thread, single tokens.
 */
import { expect } from 'chai';
import { ATTENTION_VARIANTS, attention, type Heads } from '../../src/ops/attention.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import * as reference from '../reference/attention.ts';
import { expectClose, random } from '../reference/compare.ts';
import { testGpu } from '../support/gpu.ts';
import { guards } from '../support/guard.ts';
import { asDevices, asking, checkOp, type OpCase, requireSameBytes } from '../support/op.ts';
import { type Pair, spansOf } from '../support/spans.ts';

const LAYOUTS: Record<string, readonly Pair[]> = {
  'one token': [[1, 0, 0]],
  'one sequence': [[42, 0, 0]],
  'sequences of 1, 6 and 42': [
    [1, 0, 0],
    [6, 0, 0],
    [42, 0, 0],
  ],
  'a pair': [[5, 6, 7]],
  'pairs and single tokens': [
    [1, 1, 1],
    [3, 1, 9],
    [1, 0, 0],
    [17, 11, 6],
    [2, 5, 0],
  ],
  'a long pair': [[31, 42, 50]],
};

const HEADS: readonly Heads[] = [
  { heads: 1, kvHeads: 1, headDim: 4 },
  { heads: 2, kvHeads: 1, headDim: 8 },
  { heads: 6, kvHeads: 2, headDim: 16 },
  { heads: 3, kvHeads: 3, headDim: 20 },
  { heads: 3, kvHeads: 1, headDim: 32 },
  { heads: 4, kvHeads: 2, headDim: 64 },
  { heads: 1, kvHeads: 1, headDim: 80 },
  { heads: 1, kvHeads: 1, headDim: 96 },
  { heads: 2, kvHeads: 1, headDim: 128 },
  { heads: 1, kvHeads: 1, headDim: 256 },
];

const VARIANTS = ATTENTION_VARIANTS.map(({ name }) => name);

// Weights come from exp, which may be wrong by 3 + 2|x| units in the last place; the gradient of a key or a value is a sum
// over up to 123 queries of up to 3 heads.
const tolerance = {
  value: { absolute: 2e-6, relative: 1e-5 },
  gradient: { absolute: 2e-5, relative: 2e-5 },
};

function makeCase(pairs: readonly Pair[], heads: Heads, scale = 1) {
  const { kvHeads, headDim } = heads;
  const spans = spansOf(pairs);
  const tokens = spans.length / 4;
  const { normals } = random(tokens + headDim);
  const draw = (width: number, factor: number) => Float32Array.from(normals(tokens * width, factor));
  return {
    spans,
    tokens,
    query: draw(heads.heads * headDim, scale),
    key: draw(kvHeads * headDim, scale),
    value: draw(kvHeads * headDim, 1),
    shape: { tokens, ...heads },
  };
}

type Case = ReturnType<typeof makeCase>;

async function check(
  { spans, tokens, query, key, value, shape }: Case,
  heads: Heads,
  devices?: ReturnType<typeof asDevices>,
): Promise<void> {
  const forward = reference.attention(query, key, value, spans, shape);
  const op = {
    label: 'attention',
    inputs: {
      query: { values: query, shape: [tokens, heads.heads * heads.headDim], trained: true },
      key: { values: key, shape: [tokens, heads.kvHeads * heads.headDim], trained: true },
      value: { values: value, shape: [tokens, heads.kvHeads * heads.headDim], trained: true },
      spans: { values: spans, shape: [tokens, 4] },
    },
    run: (tape, t) => attention(tape, t.query, t.key, t.value, t.spans, heads),
    value: () => forward.out,
    gradients: (dy) => {
      const { dq, dk, dv } = reference.attentionBackward(dy, query, key, value, forward, spans, shape);
      return { query: dq, key: dk, value: dv };
    },
    tolerance,
  } satisfies OpCase<'query' | 'key' | 'value' | 'spans'>;
  await checkOp(await testGpu(), op, devices);
}

describe('attention', () => {
  for (const heads of HEADS) {
    // Wide heads differ from others in how a score is summed, not in what is visible.
    const layouts = Object.entries(LAYOUTS).filter(
      ([name]) => heads.headDim < 64 || name.startsWith('pairs'),
    );
    for (const [name, pairs] of layouts) {
      it(`${heads.heads} heads over ${heads.kvHeads} of ${heads.headDim}: ${name}`, async () => {
        await check(makeCase(pairs, heads), heads);
      });
    }
  }

  // A window of one token, ones shorter and longer than prompts and completions, and one longer than everything.
  for (const [window, name] of [
    [1, 'pairs and single tokens'],
    [5, 'pairs and single tokens'],
    [5, 'sequences of 1, 6 and 42'],
    [5, 'a long pair'],
    [500, 'a long pair'],
  ] as const) {
    it(`a window of ${window}: ${name}`, async () => {
      const heads = { heads: 4, kvHeads: 2, headDim: 20, scale: 0.4, window };
      await check(makeCase(LAYOUTS[name], heads), heads);
    });
  }

  // Scores near a cap and far beyond it, by every variant.
  for (const variant of VARIANTS) {
    for (const [heads, scale] of [
      [{ heads: 4, kvHeads: 2, headDim: 20, scale: 0.4, window: 9, softCap: 2 }, 1],
      [{ heads: 2, kvHeads: 1, headDim: 20, softCap: 5 }, 4],
    ] as const) {
      it(`a soft cap of ${heads.softCap} on scores, heads of ${heads.headDim}, by ${variant}`, async () => {
        const pairs = LAYOUTS['pairs and single tokens'];
        const asked = { name: variant, gpu: asking(await testGpu(), variant) };
        await check(makeCase(pairs, heads, scale), heads, [asked]);
      });
    }
  }

  // Four tokens per thread: a software adapter without subgroups, and heads that do not fit into quads.
  for (const [headDim, name] of [
    [20, 'pairs and single tokens'],
    [80, 'sequences of 1, 6 and 42'],
  ] as const) {
    it(`by registers of a software adapter, heads of ${headDim}: ${name}`, async () => {
      const heads = { heads: 2, kvHeads: 1, headDim, window: 9 };
      const [software] = asDevices(asking(await testGpu(), 'register'));
      await check(makeCase(LAYOUTS[name], heads), heads, [software]);
    });
  }

  // Tiles of 32 tokens: fewer and more tokens than that, spans that skip whole tiles, heads of one part and of two.
  const plain = { heads: 6, kvHeads: 2, headDim: 16 };
  for (const [heads, names] of [
    [plain, Object.keys(LAYOUTS)],
    [{ heads: 2, kvHeads: 1, headDim: 136 }, ['sequences of 1, 6 and 42']],
    [{ ...plain, scale: 0.4, window: 5 }, ['pairs and single tokens', 'a long pair']],
  ] as const) {
    for (const name of names) {
      const title = `${heads.heads} heads of ${heads.headDim}${'window' in heads ? ' in a window' : ''}`;
      it(`by workgroups, ${title}: ${name}`, async () => {
        const staged = { name: 'by workgroups', gpu: asking(await testGpu(), 'workgroup') };
        await check(makeCase(LAYOUTS[name], heads), heads, [staged]);
      });
    }
  }

  for (const variant of VARIANTS) {
    it(`stays accurate if one score is far above the others, by ${variant}`, async () => {
      // Scores of about ±400: without the running maximum they overflow. Only the values stay small, so that gradients do.
      const heads = { heads: 2, kvHeads: 2, headDim: 20 };
      const extreme = makeCase([[6, 9, 9]], heads, 12);
      const { out } = reference.attention(
        extreme.query,
        extreme.key,
        extreme.value,
        extreme.spans,
        extreme.shape,
      );
      const gpu = asking(await testGpu(), variant);
      const tape = Tape.forInference(gpu);
      const tensor = (values: Float32Array) => Tensor.from(gpu, values, [extreme.tokens, 40]);
      const [q, k, v] = [extreme.query, extreme.key, extreme.value].map(tensor);
      const y = attention(tape, q, k, v, Tensor.from(gpu, extreme.spans, [extreme.tokens, 4]), heads);
      // A score near 400 is rounded by 2e-5, and so is the logarithm of a weight.
      expectClose(await y.toArray(gpu), out, { absolute: 5e-4 });
      tape.dispose();
    });
  }

  it('skips unneeded work: gradients of the key alone, of the value alone', async () => {
    const heads = { heads: 4, kvHeads: 2, headDim: 8 };
    const { query, key, value, spans, tokens, shape } = makeCase(LAYOUTS['a pair'], heads);
    const forward = reference.attention(query, key, value, spans, shape);
    for (const { gpu: device } of asDevices(await testGpu())) {
      for (const trained of ['query', 'key', 'value'] as const) {
        const { gpu, check: checkGuards } = guards(device);
        const tape = Tape.forTraining(gpu);
        const tensors = {
          query: Tensor.from(gpu, query, [tokens, 32], 'query'),
          key: Tensor.from(gpu, key, [tokens, 16], 'key'),
          value: Tensor.from(gpu, value, [tokens, 16], 'value'),
        };
        tensors[trained].requiresGrad = true;
        const spansTensor = Tensor.from(gpu, spans, [tokens, 4]);
        const y = attention(tape, tensors.query, tensors.key, tensors.value, spansTensor, heads);
        const dy = Float32Array.from(random(3).normals(y.length));
        y.grad = Tensor.from(gpu, dy, y.shape);
        tape.backward();
        const { dq, dk, dv } = reference.attentionBackward(dy, query, key, value, forward, spans, shape);
        const expected = { query: dq, key: dk, value: dv }[trained];
        expectClose(await tensors[trained].grad!.toArray(gpu), expected, tolerance.gradient);
        for (const other of Object.values(tensors)) {
          if (other !== tensors[trained]) expect(other.grad).to.equal(undefined);
        }
        await checkGuards();
      }
    }
  });

  for (const variant of VARIANTS) {
    it(`gives a completion the same bits with or without another one, by ${variant}`, async () => {
      // The rejected completion of a pair begins in a tile that also has the end of the chosen one, and is followed by an
      // odd number of tokens; the same tokens are also the chosen completion of a pair without another. Scores grow along
      // the sequence, so that the running maximum does too.
      const heads = { heads: 2, kvHeads: 1, headDim: 20, scale: 2 };
      const [before, prompt, chosen, length] = [4, 6, 11, 22];
      const widths = [40, 20, 20, 40];
      const { normals } = random(11);
      const parts = [prompt, chosen, length, before].map((count) =>
        widths.map((width) => Float32Array.from(normals(count * width), (x, i) => x * (0.2 + i / 400))),
      );
      const run = async (pairs: readonly Pair[], packed: readonly Float32Array[][]) => {
        const gpu = asking(await testGpu(), variant);
        const tape = Tape.forTraining(gpu);
        const spans = spansOf(pairs);
        const tokens = spans.length / 4;
        const [q, k, v, dy] = widths.map((width, which) => {
          const all = Float32Array.from(packed.flatMap((part) => [...part[which]]));
          const tensor = Tensor.from(gpu, all, [tokens, width]);
          tensor.requiresGrad = true;
          return tensor;
        }) as [Tensor, Tensor, Tensor, Tensor];
        const y = attention(tape, q, k, v, Tensor.from(gpu, spans, [tokens, 4]), heads);
        const value = await y.toArray(gpu);
        y.grad = dy;
        tape.backward();
        const gradients = await Promise.all([q, k, v].map(({ grad }) => grad!.toArray(gpu)));
        return [value, ...gradients].map((all) => all.slice((-length * all.length) / tokens));
      };
      const beside = await run([[prompt, chosen, length]], [parts[0], parts[1], parts[2]]);
      const alone = await run(
        [
          [before, 0, 0],
          [prompt, length, 0],
        ],
        [parts[3], parts[0], parts[2]],
      );
      // Workgroups add up the gradient of a key by tiles of queries that begin anywhere.
      const names = variant === 'workgroup' ? ['value', 'dq'] : ['value', 'dq', 'dk', 'dv'];
      for (const [at, name] of names.entries()) {
        requireSameBytes(beside[at], alone[at], name);
      }
    });
  }
});
