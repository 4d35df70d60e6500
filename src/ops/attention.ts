/**
 * Causal attention over packed sequences: what a query sees is said by its span, so that a pair's prompt is computed
 * once and both completions attend to it, and nothing is padded.
 */
import shader from '../../shaders/layers/attention.wgsl';
import { type Count, kernels } from '../gpu/kernel.ts';
import type { GradientSlot, Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';

export interface Heads {
  heads: number;
  kvHeads: number;
  /** A multiple of 4. */
  headDim: number;
  /** Factor of the scores; 1 / √headDim by default. */
  scale?: number;
  /** Positions that a token sees, itself the last of them; all by default. */
  window?: number | undefined;
}

const threads = (tokens: number, heads: number, { PARTS, TOKENS }: Parameters<Count>[1]) =>
  Math.ceil(tokens / (TOKENS as number)) * heads * (PARTS as number);
const perQueryHead: Count = (p, c) => threads(p.tokens as number, p.heads as number, c);
const perKeyHead: Count = (p, c) => threads(p.tokens as number, p.kv_heads as number, c);

export const attentionKernels = kernels(shader, {
  forward: { threads: perQueryHead },
  backward_rows: { threads: (p) => (p.tokens as number) * (p.heads as number) },
  backward_query: { threads: perQueryHead },
  backward_key_value: { threads: perKeyHead },
});

/** What the kernels are compiled for. */
export interface AttentionConstants {
  HEAD_VECTORS: number;
  PARTS: number;
  TOKENS: number;
  WORKGROUP: number;
}

/**
 * The constants that fit the kernels to a head's width and to the device. Where the CPU stands in for a GPU a load costs
 * some twenty multiplications, so four tokens share it: 3 to 4 times less work there. A GPU is fed by threads instead.
 */
export function attentionConstants(headDim: number, software: boolean): AttentionConstants {
  const parts = { HEAD_VECTORS: headDim / 4, PARTS: Math.ceil(headDim / 16) };
  return software ? { ...parts, TOKENS: 4, WORKGROUP: 16 } : { ...parts, TOKENS: 1, WORKGROUP: 64 };
}

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
  { heads, kvHeads, headDim, scale = 1 / Math.sqrt(headDim), window = 0 }: Heads,
): Tensor {
  const { gpu } = tape;
  const tokens = query.rows;
  const y = tape.empty(query.shape, 'attention');
  const lse = tape.empty([tokens, heads], 'attention log-sum-exp');
  const constants = { ...attentionConstants(headDim, gpu.adapter.software), WINDOW: window };
  const params = {
    tokens,
    heads,
    kv_heads: kvHeads,
    scale,
    accumulate_query: 0,
    accumulate_key: 0,
    accumulate_value: 0,
  };
  attentionKernels.forward(gpu, { query, key, value, spans, y, lse }, params, constants);
  const backward = () => {
    const dy = y.grad as Tensor;
    const rowStats = tape.empty([tokens, heads, 2], 'attention row statistics');
    attentionKernels.backward_rows(
      gpu,
      { dy, saved_y: y, saved_lse: lse, row_stats_out: rowStats },
      params,
      constants,
    );
    const shared = { query, key, value, spans, dy, row_stats: rowStats };
    const dquery = tape.gradient(query);
    if (dquery) {
      attentionKernels.backward_query(
        gpu,
        { ...shared, dquery: dquery.grad },
        { ...params, accumulate_query: dquery.accumulate },
        constants,
      );
    }
    // One pass makes both; where only one of them is wanted, the other goes to a temporary.
    const slots = [key, value].map((tensor) => tape.gradient(tensor));
    if (slots.some(Boolean)) {
      const [dkey, dvalue] = slots.map(
        (slot) => slot ?? { grad: tape.empty(key.shape, 'unused gradient'), accumulate: 0 as const },
      ) as [GradientSlot, GradientSlot];
      attentionKernels.backward_key_value(
        gpu,
        { ...shared, dkey: dkey.grad, dvalue: dvalue.grad },
        { ...params, accumulate_key: dkey.accumulate, accumulate_value: dvalue.accumulate },
        constants,
      );
      if (!slots[0]) tape.release(dkey.grad);
      if (!slots[1]) tape.release(dvalue.grad);
    }
    tape.release(rowStats);
  };
  tape.record({ inputs: [query, key, value], outputs: [y], saved: [lse], backward });
  return y;
}
