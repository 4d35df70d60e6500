/**
 * No kernel exceeds the loop limit (`src/gpu/loops.ts`), as a software adapter or a GPU runs it, at the largest realistic sizes:
 * a million numbers per row, vocabularies of 262,144, batches of 131,072 tokens, 10⁹ parameters, 100,000 pairs. Iterations are
 * computed from the shaders' text and from the calls that ops make; nothing runs.
 */
import { expect } from 'chai';
import type { Gpu } from '../../src/gpu/device.ts';
import { LOOP_LIMIT } from '../../src/gpu/loops.ts';
import { Variants } from '../../src/gpu/variants.ts';
import { LOSSES } from '../../src/losses/catalogue.ts';
import { completionLoss } from '../../src/losses/completion-loss.ts';
import { ATTENTION_VARIANTS, attention } from '../../src/ops/attention.ts';
import { chosenLogprobs } from '../../src/ops/chosen-logprob.ts';
import { decodeAttention } from '../../src/ops/decode-attention.ts';
import { entropy } from '../../src/ops/entropy.ts';
import { expectation } from '../../src/ops/expectation.ts';
import { fold } from '../../src/ops/fold.ts';
import { gather } from '../../src/ops/gather.ts';
import { gradNorm } from '../../src/ops/grad-norm.ts';
import { HALVES } from '../../src/ops/halves.ts';
import { kl } from '../../src/ops/kl.ts';
import { layerNorm } from '../../src/ops/layer-norm.ts';
import { linear } from '../../src/ops/linear.ts';
import { logSumExp } from '../../src/ops/logsumexp.ts';
import { PRODUCT_VARIANTS } from '../../src/ops/matmul.ts';
import { MOST_ROWS, refill } from '../../src/ops/refill.ts';
import { rmsNorm } from '../../src/ops/rms-norm.ts';
import { rowActivation } from '../../src/ops/row-product.ts';
import { sample } from '../../src/ops/sample.ts';
import { sequenceSums } from '../../src/ops/sequence-sum.ts';
import { logSoftmax, SOFTMAX_VARIANTS, softmax } from '../../src/ops/softmax.ts';
import { headLogprobs, tokenLogprobs } from '../../src/ops/token-logprob.ts';
import { Tape } from '../../src/tensor/tape.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { optimalPolicy } from '../../src/theory/optimal-policy.ts';
import { type CountedLoops, countedLoops } from '../support/counted-loops.ts';
import { testGpu } from '../support/gpu.ts';

const TOKENS = 131_072;
const VOCABULARY = 262_144;
const LONG = 1_000_000;
const HIDDEN = 16_384;
const FEED_FORWARD = 53_248;

type Make = CountedLoops['tensor'];
type Run = (tape: Tape, tensor: Make, gpu: Gpu) => Tensor | undefined;

const targetsOf = (make: Make, rows: number) => make([rows], false, 'u32');

/** Operations at the largest sizes. If one returns a tensor, its backward pass is counted too. */
const LARGEST: Readonly<Record<string, Run>> = {
  softmax: (tape, make) => softmax(tape, make([2, LONG], true)),
  logSoftmax: (tape, make) => logSoftmax(tape, make([2, LONG], true)),
  logSumExp: (tape, make) => logSumExp(tape, make([2, LONG], true)),
  entropy: (tape, make) => entropy(tape, make([2, LONG], true)),
  'kl, reverse': (tape, make) => kl(tape, make([2, LONG], true), make([2, LONG])),
  'kl, forward': (tape, make) => kl(tape, make([2, LONG], true), make([2, LONG]), 'forward'),
  expectation: (tape, make) => expectation(tape, make([2, LONG], true), make([2, LONG])),
  'softmax of a vocabulary': (tape, make) => softmax(tape, make([64, VOCABULARY], true)),
  tokenLogprobs: (tape, make) => tokenLogprobs(tape, make([2, LONG], true), targetsOf(make, 2)).logprobs,
  'tokenLogprobs in place': (tape, make) =>
    tokenLogprobs(tape, make([2, LONG], true), targetsOf(make, 2), { inPlace: true }).logprobs,
  optimalPolicy(tape, make) {
    optimalPolicy(tape, { reference: make([2, LONG]), rewards: make([2, LONG]), beta: 1 });
  },
  sample(_, make, gpu) {
    const live = {
      places: make([64, 8], false, 'u32'),
      tokens: make([8, 64], false, 'u32'),
      eos: make([64], false, 'u32'),
    };
    const settings = { temperature: 1, topK: 50, topP: 0.9, minP: 0, seed: 0 };
    sample(gpu, make([64, VOCABULARY]), live, settings, { step: 1 });
  },
  'sample, with log-probabilities'(_, make, gpu) {
    const logprobs = { sampling: make([8, 64]), model: make([8, 64]) };
    const live = {
      places: make([64, 8], false, 'u32'),
      tokens: make([8, 64], false, 'u32'),
      eos: make([64], false, 'u32'),
      logprobs,
    };
    const logits = make([64, VOCABULARY]);
    const settings = { temperature: 1, topK: 50, topP: 0.9, minP: 0.1, seed: 0 };
    sample(gpu, logits, live, settings, { step: 1 });
    sample(gpu, logits, live, settings, { step: 1 }, true);
    chosenLogprobs(gpu, logits, live, logprobs.model, { step: 1 });
  },
  refill(_, make, gpu) {
    const live = {
      places: make([MOST_ROWS, 8], false, 'u32'),
      tokens: make([8, MOST_ROWS], false, 'u32'),
      eos: make([64], false, 'u32'),
    };
    const waiting = { prompts: make([64, 3], false, 'u32'), next: make([1], false, 'u32'), copies: 1 };
    refill(gpu, live, waiting, { step: 8, ready: 64, longest: 8 });
  },
  'products of few rows'(tape, make) {
    const weights = { weights: make([2 * HIDDEN, FEED_FORWARD]), n: 2 * HIDDEN, k: FEED_FORWARD };
    rowActivation(tape, make([16, FEED_FORWARD]), weights, 'silu', true, { normEps: 1e-6 });
  },
  fold(_, make, gpu) {
    const adapters = [{ a: make([1024, FEED_FORWARD]), b: make([HIDDEN, 1024]), scale: 1 }];
    const gain = { weight: make([FEED_FORWARD]), offset: false };
    fold(gpu, [{ weight: make([HIDDEN, FEED_FORWARD]), adapters }], gain, make([HIDDEN, FEED_FORWARD]));
  },
  sequenceSums: (tape, make) => sequenceSums(tape, make([4 * TOKENS], true), make([3], false, 'u32')),
  ...headCases(),
  ...linearCases(),
  'rmsNorm of heads': (tape, make) =>
    rmsNorm(tape, make([TOKENS, 32 * 128], true), make([128], true), { eps: 1e-6 }),
  'rmsNorm of hidden states': (tape, make) =>
    rmsNorm(tape, make([TOKENS, HIDDEN], true), make([HIDDEN], true), { eps: 1e-6 }),
  layerNorm: (tape, make) =>
    layerNorm(tape, make([TOKENS, HIDDEN], true), make([HIDDEN], true), make([HIDDEN], true), 1e-6),
  // All entries may read the same row.
  gather: (tape, make) =>
    gather(tape, make([VOCABULARY, HIDDEN], true), {
      indices: make([TOKENS], false, 'u32'),
      offsets: make([VOCABULARY + 1], false, 'u32'),
      entries: make([TOKENS], false, 'u32'),
    }),
  halves(_, make, gpu) {
    HALVES.pack(gpu, make([TOKENS, FEED_FORWARD]), make([TOKENS, 2 + FEED_FORWARD / 2]));
    HALVES.unpack(gpu, make([TOKENS, 2 + FEED_FORWARD / 2]), make([TOKENS, FEED_FORWARD]));
  },
  gradNorm(_, make, gpu) {
    gradNorm(gpu, make([1e9]), make([2]), 1);
    return undefined;
  },
  ...attentionCases(),
  ...pairCases('aot', 'aot_unpaired', 'sigmoid'),
};

function headCases(): Record<string, Run> {
  const cases: Record<string, Run> = {};
  for (const [rows, width, vocabulary] of [
    [32, HIDDEN, VOCABULARY],
    [32, 768, 50_257],
    [4096, 2048, MOST_ROWS],
    [TOKENS, 768, 1025],
  ] as const) {
    for (const filterEps of [0, 1e-9]) {
      for (const trained of [false, true]) {
        const what = `a ${trained ? 'trained' : 'frozen'} head of ${vocabulary}, eps ${filterEps}`;
        cases[`headLogprobs of ${rows} rows, ${what}`] = (tape, make) => {
          const [hidden, head] = [make([rows, width], true), make([vocabulary, width], trained)];
          return headLogprobs(tape, hidden, head, targetsOf(make, rows), { filterEps }).logprobs;
        };
      }
    }
  }
  return cases;
}

/** Dimensions that are multiples of four, and odd ones, for weights and adapters. */
function linearCases(): Record<string, Run> {
  const cases: Record<string, Run> = {};
  for (const [inputs, out, rank] of [
    [FEED_FORWARD, HIDDEN, 1024],
    [FEED_FORWARD, HIDDEN, 7],
    [HIDDEN, FEED_FORWARD, 64],
    [FEED_FORWARD + 1, HIDDEN + 1, 64],
  ] as const) {
    cases[`linear of ${inputs} to ${out}, rank ${rank}`] = (tape, make) =>
      linear(tape, make([TOKENS, inputs], true), make([out, inputs], true), {
        adapters: [{ a: make([rank, inputs], true), b: make([out, rank], true), scale: 1 }],
        bias: make([out], true),
      });
  }
  return cases;
}

function attentionCases(): Record<string, Run> {
  const cases: Record<string, Run> = {};
  for (const [heads, kvHeads, headDim] of [
    [32, 4, 64],
    [64, 8, 128],
    [8, 4, 256],
    [32, 1, 80],
    [8, 8, 16],
  ] as const) {
    const shape = { heads, kvHeads, headDim };
    const name = `${heads} heads of ${headDim}, ${kvHeads} of keys`;
    cases[`attention, ${name}`] = (tape, make) => {
      const [query, key, value] = [heads, kvHeads, kvHeads].map((h) => make([TOKENS, h * headDim], true));
      return attention(tape, query, key, value, make([TOKENS, 4], false, 'u32'), shape);
    };
    for (const wide of [false, true]) {
      cases[`decodeAttention${wide ? ', wide' : ''}, ${name}`] = (tape, make) => {
        const [query, key, value] = [heads, kvHeads, kvHeads].map((h) => make([16, h * headDim]));
        const cache = { keys: make([TOKENS, kvHeads * headDim]), values: make([TOKENS, kvHeads * headDim]) };
        const options = { ...shape, step: TOKENS, longest: TOKENS, wide };
        decodeAttention(tape, query, key, value, cache, make([16, 8], false, 'u32'), options);
      };
    }
  }
  return cases;
}

function pairCases(...names: string[]): Record<string, Run> {
  return Object.fromEntries(
    names.map((name): [string, Run] => [
      `loss ${name}`,
      (tape, make) => {
        const completions = {
          sums: make([200_000], true),
          reference: make([200_000]),
          offsets: make([200_001], false, 'u32'),
        };
        completionLoss(tape, [{ loss: LOSSES[name] }], completions);
      },
    ]),
  );
}

/** The variants of each case, by its name. */
const VARIANTS: readonly (readonly [RegExp, readonly { readonly name: string }[]])[] = [
  [/^attention/, ATTENTION_VARIANTS],
  [/softmax/i, SOFTMAX_VARIANTS],
  [/^linear|^head/, PRODUCT_VARIANTS],
];

describe('kernels stay within the loop limit', () => {
  for (const kind of ['software', 'hardware'] as const) {
    for (const [name, run] of Object.entries(LARGEST)) {
      it(`${name}, ${kind === 'software' ? 'on a software adapter' : 'on a GPU'}`, async () => {
        const real = await testGpu();
        const variants = VARIANTS.flatMap(([cases, all]) => (cases.test(name) ? all : []));
        for (const asked of [[], ...variants.map((variant) => [variant.name])]) {
          const { gpu: counted, most, tensor } = countedLoops(real, kind);
          const gpu: Gpu = Object.create(counted, {
            adapter: { value: { ...counted.adapter, ...everything } },
            variants: { value: new Variants(asked) },
          });
          const tape = Tape.forTraining(gpu);
          const result = run(tape, tensor, gpu);
          if (result) {
            result.grad = tensor(result.shape);
            tape.backward();
          }
          expect(most.size).to.be.above(0);
          const over = [...most].filter(([, iterations]) => iterations > LOOP_LIMIT);
          expect(Object.fromEntries(over), `${name}, ${asked}`).to.deep.equal({});
        }
      });
    }
  }
});

/** All features that variants may need. */
const everything = {
  features: ['shader-f16', 'subgroups', 'chromium-experimental-subgroup-matrix'],
  matrixUnit: { m: 8, n: 8, k: 8, subgroup: 32 },
};
