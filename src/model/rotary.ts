/**
 * Frequencies of rotary positions: geometric in the dimension (Su et al. 2021), and scaled if a model was extended to
 * longer contexts. Numbers only; an op applies them.
 */
import type { Llama3Scaling, RotaryPositions } from '../io/layer-attention.ts';

/** A frequency in radians per position for each rotated pair of dimensions, usually headDim / 2. */
export function rotaryFrequencies(
  headDim: number,
  { theta, dimensions = headDim, linearFactor, factors, llama3 }: RotaryPositions,
) {
  return Float64Array.from({ length: dimensions / 2 }, (_, j) => {
    const frequency = theta ** ((-2 * j) / dimensions) / (factors?.[j] ?? linearFactor ?? 1);
    return llama3 ? stretched(frequency, llama3) : frequency;
  });
}

/**
 * Llama 3: frequencies with at least `highFreqFactor` rotations over the original context are kept, those with at most
 * `lowFreqFactor` are divided by `factor`, and those in between are interpolated by the number of rotations.
 */
function stretched(frequency: number, scaling: Llama3Scaling): number {
  const { factor, lowFreqFactor, highFreqFactor, originalMaxPositionEmbeddings } = scaling;
  const turns = (originalMaxPositionEmbeddings * frequency) / (2 * Math.PI);
  const share = (turns - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
  const kept = Math.min(1, Math.max(0, share));
  return frequency * (kept + (1 - kept) / factor);
}
