/**
 * Combines several adapters on one model into a single one, W + Σ factorᵢ·scaleᵢ·Bᵢ·Aᵢ, by concatenating the low-rank
 * factors (PEFT's `add_weighted_adapter` with `combination_type="cat"`). Exact; the rank is the sum of the ranks.
 */
import { InputError } from './errors.ts';
import { type Adapter, type LoraWeights, loraScale } from './peft.ts';

export interface AdapterPart {
  adapter: Adapter;
  /** The weight of the adapter in the sum. */
  factor: number;
  /** Its name in error messages. */
  name?: string;
}

/** An adapter equivalent to the weighted sum of all parts. Throws {@link InputError} for parts of different shapes. */
export function combineAdapters(parts: readonly AdapterPart[]): Adapter {
  const [first] = parts;
  const scored = parts.find(({ adapter }) => adapter.head);
  if (scored) {
    const what = 'is the adapter of a reward model, which can only be merged alone and with its full weight';
    throw new InputError(scored.name ?? 'adapter', what, 'Merge it into its model instead, or leave it out');
  }
  const rank = parts.reduce((sum, { adapter }) => sum + widestRank(adapter), 0);
  const modules = new Set(parts.flatMap(({ adapter }) => [...adapter.weights.keys()]));
  const weights = new Map([...modules].map((module) => [module, combined(module, parts, rank)]));
  const targetModules = [...new Set(parts.flatMap(({ adapter }) => adapter.config.targetModules))];
  return {
    // α/r = 1: B contains the scales.
    config: { r: rank, loraAlpha: rank, targetModules, useRslora: false },
    baseModel: first?.adapter.baseModel ?? '',
    ...(first?.adapter.baseRevision !== undefined && { baseRevision: first.adapter.baseRevision }),
    ...(parts.some(({ adapter }) => adapter.fanInFanOut) && { fanInFanOut: true }),
    weights,
  };
}

/** The largest number of rows of A in the adapter: layers may have different ranks. */
function widestRank({ weights }: Adapter): number {
  return Math.max(...[...weights.values()].map(({ r }) => r));
}

/** Concatenates A along rows and B along columns; zeros for a part that lacks the module or has a smaller rank there. */
function combined(module: string, parts: readonly AdapterPart[], rank: number): LoraWeights {
  const present = parts.flatMap(({ adapter }) => adapter.weights.get(module) ?? []);
  const { in: width, out } = present[0];
  if (present.some((weights) => weights.in !== width || weights.out !== out)) {
    throw new InputError(module, 'has different shapes in the adapters', 'Give adapters of the same model');
  }
  const a = new Float32Array(rank * width);
  const b = new Float32Array(out * rank);
  let row = 0;
  for (const { adapter, factor } of parts) {
    const weights = adapter.weights.get(module);
    if (weights) {
      const { r } = weights;
      const scale = factor * loraScale(adapter.config, weights);
      a.set(weights.a, row * width);
      for (let o = 0; o < out; o++)
        for (let i = 0; i < r; i++) b[o * rank + row + i] = scale * weights.b[o * r + i];
    }
    row += widestRank(adapter);
  }
  return { a, b, r: rank, in: width, out };
}
