/**
 * Causal attention over packed sequences: spans define which tokens a query attends to, so that a pair's prompt is computed
 * once, both completions attend to it, and nothing is padded.
 */
import shader from '../../shaders/layers/attention.wgsl';
import quadShader from '../../shaders/layers/attention-quad.wgsl';
import workgroupShader from '../../shaders/layers/attention-workgroup.wgsl';
import type { Gpu } from '../gpu/device.ts';
import { type Buffers, type Count, type Grid, type Kernel, kernels, type Params } from '../gpu/kernel.ts';
import type { Constants } from '../gpu/pipelines.ts';
import type { AdapterKind } from '../gpu/profile.ts';
import { noise, type Operation, sizeClass, tokenClass, type Variant } from '../gpu/variants.ts';
import { Tape } from '../tensor/tape.ts';
import { Tensor } from '../tensor/tensor.ts';
import {
  gradientsOfPieces,
  keyPieces,
  type Piece,
  queryPieces,
  type Reach,
  reachOf,
} from './attention-pieces.ts';
import { cappedBy } from './soft-cap.ts';

export interface Heads {
  heads: number;
  kvHeads: number;
  /** A multiple of 4. */
  headDim: number;
  /** Factor of the scores; default: 1 / √headDim. */
  scale?: number;
  /** Number of positions that a token attends to, including itself; default: all. */
  window?: number | undefined;
  /** Scores are cap · tanh(score / cap); undefined: no cap. */
  softCap?: number | undefined;
}

const threads = (tokens: number, heads: number, { PARTS, TOKENS }: Parameters<Count>[1]) =>
  Math.ceil(tokens / (TOKENS as number)) * heads * (PARTS as number);
const perQueryHead: Count = (p, c) => threads(p.tokens, p.heads, c);
const perKeyHead: Count = (p, c) => threads(p.tokens, p.kv_heads, c);

export const attentionKernels = kernels(shader, {
  forward: { threads: perQueryHead },
  backward_rows: { threads: (p) => p.tokens * p.heads },
  backward_query: { threads: perQueryHead },
  backward_key_value: { threads: perKeyHead },
});

/** Tokens in a tile of the workgroup kernels, and vectors of a head that a group sums at once. */
const TILE = 32;
const GROUP_VECTORS = 32;

const tiles = (heads: 'heads' | 'kv_heads'): Grid => ({
  groups: (p, { PARTS }) => Math.ceil(p.tokens / TILE) * p[heads] * (PARTS as number),
});

export const workgroupKernels = kernels(workgroupShader, {
  forward: tiles('heads'),
  backward_query: tiles('heads'),
  backward_key_value: tiles('kv_heads'),
});

/**
 * Maximum number of blocks of four tokens and four coordinates that a thread of a quad holds, and the heads that this
 * supports.
 */
const QUAD_BLOCKS = 16;
const QUAD_HEADS = { above: 16, most: 4 * 4 * QUAD_BLOCKS };

const quads = (heads: 'heads' | 'kv_heads'): Grid => ({
  groups: (p, { BLOCKS }) => Math.ceil(p.tokens / (4 * (BLOCKS as number))) * p[heads],
});

export const quadKernels = kernels(quadShader, {
  forward: quads('heads'),
  backward_query: quads('heads'),
  backward_key_value: quads('kv_heads'),
});

/** The properties of an attention that variants depend on. */
export interface AttentionShape {
  tokens: number;
  heads: number;
  kvHeads: number;
  headDim: number;
  window: number;
  adapter: AdapterKind;
}

interface AttentionVariant extends Variant<AttentionShape> {
  kernels: Record<'forward' | 'backward_query' | 'backward_key_value', Kernel>;
  constants(shape: AttentionShape): Constants;
  reach(gpu: Pick<Gpu, 'loopLimit'>, shape: AttentionShape): Reach;
}

/**
 * How attention is adapted to an adapter. On a software adapter a load costs about twenty multiplications, so four tokens
 * share it in the register kernels: 3 to 4 times less work, but a range of keys may be visited twice. On a GPU, many
 * threads matter more. Quads are efficient if four threads form one vector of the processor.
 */
const BY_ADAPTER = {
  software: { quads: true, visits: 2, constants: { TOKENS: 4, WORKGROUP: 16 } },
  hardware: { quads: false, visits: 1, constants: { TOKENS: 1, WORKGROUP: 64 } },
} as const satisfies Record<AdapterKind, unknown>;

/** The variants of attention. Backward uses the variant of the forward pass, because it reads its log-sum-exps. */
export const ATTENTION_VARIANTS: readonly AttentionVariant[] = [
  {
    name: 'quad',
    feature: 'subgroups',
    serves: ({ headDim, adapter }) =>
      BY_ADAPTER[adapter].quads && headDim > QUAD_HEADS.above && headDim <= QUAD_HEADS.most,
    kernels: quadKernels,
    constants: ({ headDim }) => ({
      HEAD_VECTORS: headDim / 4,
      BLOCKS: Math.min(4, Math.floor(QUAD_BLOCKS / Math.ceil(headDim / 16))),
    }),
    // Two keys per iteration, but a range may be visited twice: as a prefix and as a segment.
    reach: (gpu) => {
      const tokens = reachOf(gpu, SPENT, 1);
      return { keys: tokens, queries: tokens, headsInside: false };
    },
  },
  {
    name: 'register',
    serves: () => true,
    kernels: attentionKernels,
    constants: ({ headDim, adapter }) => registerConstants(headDim, adapter),
    // Heads wider than 64 need an inner loop per product.
    reach: (gpu, { headDim, adapter }) => {
      const more = headDim > 64 ? Math.ceil(headDim / 16) - 3 : 0;
      const perToken = 1 + 2 * more;
      return {
        keys: reachOf(gpu, SPENT, BY_ADAPTER[adapter].visits * perToken),
        queries: reachOf(gpu, SPENT, perToken),
        headsInside: false,
      };
    },
  },
  {
    name: 'workgroup',
    serves: () => true,
    kernels: workgroupKernels,
    constants: ({ headDim }) => ({
      HEAD_VECTORS: headDim / 4,
      PARTS: Math.ceil(headDim / 4 / GROUP_VECTORS),
      CHUNKS: Math.min(4, Math.ceil(headDim / 32)),
    }),
    // Iterations per tile of keys. The 48 extra tiles are partial ones: up to one for each sequence in a tile of queries.
    reach: (gpu, { headDim, heads, kvHeads }) => {
      const product = 1 + 6 * Math.ceil(headDim / 16);
      const rows = 14 * Math.min(4, Math.ceil(headDim / 32));
      const perTile = 28 + 2 * product + rows;
      const sharedBy = heads / kvHeads;
      const perHead = 2 * product + 2 * rows + 1 + 20 / sharedBy;
      return {
        keys: (TILE / 2) * (reachOf(gpu, 2048, perTile) - 48),
        queries: TILE * reachOf(gpu, SPENT, perHead),
        headsInside: true,
      };
    },
  },
];

/** The constants of the register kernels for a head size and an adapter. */
function registerConstants(headDim: number, adapter: AdapterKind): Constants {
  return { HEAD_VECTORS: headDim / 4, PARTS: Math.ceil(headDim / 16), ...BY_ADAPTER[adapter].constants };
}

/** Iterations of a kernel outside its main loop. */
const SPENT = 1024;

/** Maximum number of tokens in a measurement: one sequence, with half of its tiles before the diagonal. */
const TRIAL_TOKENS = 512;

export const ATTENTION: Operation<AttentionShape, AttentionVariant> = {
  name: 'attention',
  variants: ATTENTION_VARIANTS,
  classOf: ({ tokens, heads, kvHeads, headDim, window }) =>
    `${tokenClass(tokens)} ${heads} ${kvHeads} ${headDim}${window > 0 ? ` window ${sizeClass(window)}` : ''}`,
  // Forward and backward together, because a step has one of each.
  trial(gpu, shape) {
    const { heads, kvHeads, headDim } = shape;
    const tokens = Math.min(shape.tokens, TRIAL_TOKENS);
    const label = 'attention of a trial';
    const [query, key, value, dy] = [heads, kvHeads, kvHeads, heads].map((count) => {
      const size = [tokens, count * headDim] as const;
      return new Tensor(noise(gpu, 4 * size[0] * size[1], label), size, 'f32', label);
    }) as [Tensor, Tensor, Tensor, Tensor];
    const inputs = [query, key, value];
    for (const input of inputs) input.requiresGrad = true;
    const sequence = Uint32Array.from({ length: 4 * tokens }, (_, i) => (i % 4 === 3 ? tokens : 0));
    const spans = Tensor.from(gpu, sequence, [tokens, 4], label);
    const result = gpu.pool.allocate(query.size + dy.size + key.size + value.size, label);
    return {
      run(variant) {
        const tape = Tape.forTraining(gpu);
        const y = attentionBy(variant, tape, [query, key, value], spans, { ...shape, tokens });
        y.grad = dy;
        let { offset } = result;
        const keep = (tensor: Tensor) => {
          gpu.recorder.copy(tensor, { ...result, offset });
          offset += tensor.size;
        };
        keep(y);
        tape.backward();
        for (const input of inputs) {
          keep(input.grad!); // released, but not yet reused
          delete input.grad;
        }
      },
      result,
      dispose() {
        for (const view of [...inputs, dy, spans, result]) gpu.pool.release(view);
      },
    };
  },
};

/**
 * query (N, heads · headDim), key and value (N, kvHeads · headDim), spans (N, 4) u32 as in a packed batch → (N, heads ·
 * headDim).
 */
export function attention(
  tape: Tape,
  query: Tensor,
  key: Tensor,
  value: Tensor,
  spans: Tensor,
  { heads, kvHeads, headDim, window = 0, ...scores }: Heads,
): Tensor {
  const { gpu } = tape;
  const shape = { tokens: query.rows, heads, kvHeads, headDim, window, adapter: gpu.adapterProfile.kind };
  const variant = gpu.variants.choose(gpu, ATTENTION, shape);
  return attentionBy(variant, tape, [query, key, value], spans, shape, scores);
}

function attentionBy(
  variant: AttentionVariant,
  tape: Tape,
  [query, key, value]: readonly [Tensor, Tensor, Tensor],
  spans: Tensor,
  shape: AttentionShape,
  { scale = 1 / Math.sqrt(shape.headDim), softCap }: Pick<Heads, 'scale' | 'softCap'> = {},
): Tensor {
  const { gpu } = tape;
  const { tokens, heads, kvHeads, headDim, window, adapter } = shape;
  const sharedBy = heads / kvHeads;
  const reach = variant.reach(gpu, shape);
  const ofQueries = keyPieces(reach, tokens, sharedBy);
  const ofKeys = queryPieces(reach, tokens, sharedBy);
  const constants: Constants = { ...variant.constants(shape), WINDOW: window, ...cappedBy(softCap) };
  const params = {
    tokens,
    heads,
    kv_heads: kvHeads,
    scale,
    accumulate_query: 0,
    accumulate_key: 0,
    accumulate_value: 0,
    soft_cap: softCap ?? 0,
    ...ofQueries[0],
  };
  const inPieces = (kernel: Kernel, pieces: readonly Piece[], buffers: Buffers, more: Params = {}) => {
    const ofPieces = pieces.length > 1 ? { ...constants, PIECEWISE: true } : constants;
    for (const piece of pieces) kernel(gpu, buffers, { ...params, ...more, ...piece }, ofPieces);
  };

  const y = tape.empty(query.shape, 'attention');
  // Between dispatches, the softmax state of each part of a head is stored after the log-sum-exps.
  const states = ofQueries.length > 1 ? 2 * Number(constants.PARTS ?? 1) : 0;
  const lse = tape.empty([(1 + states) * tokens, heads], 'attention log-sum-exp');
  inPieces(variant.kernels.forward, ofQueries, { query, key, value, spans, y, lse });
  const backward = () => {
    const dy = y.grad!;
    const rowStats = tape.empty([tokens, heads, 2], 'attention row statistics');
    attentionKernels.backward_rows(
      gpu,
      { dy, saved_y: y, saved_lse: lse, row_stats_out: rowStats },
      params,
      registerConstants(headDim, adapter),
    );
    const shared = { query, key, value, spans, dy, row_stats: rowStats };
    const { backward_query, backward_key_value } = variant.kernels;
    const slot = tape.gradient(query);
    if (slot) {
      gradientsOfPieces(tape, ofQueries, [slot], ([dquery]) => {
        const accumulate_query = dquery.accumulate;
        inPieces(backward_query, ofQueries, { ...shared, dquery: dquery.grad }, { accumulate_query });
      });
    }
    tape.gradients([key, value], (slots) => {
      gradientsOfPieces(tape, ofKeys, slots, ([dkey, dvalue]) => {
        const more = { accumulate_key: dkey.accumulate, accumulate_value: dvalue.accumulate };
        inPieces(backward_key_value, ofKeys, { ...shared, dkey: dkey.grad, dvalue: dvalue.grad }, more);
      });
    });
    tape.release(rowStats);
  };
  // Its weights are recomputed as exp(score − lse), so an absolute error of a score is a relative error of a weight.
  const exact = [query, key];
  tape.record({ inputs: [query, key, value], outputs: [y], exact, saved: [lse], backward });
  return y;
}
