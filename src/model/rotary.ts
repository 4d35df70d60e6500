/**
 * Frequencies of rotary positions: geometric in the coordinate (Su et al. 2021), and slowed down where a model was
 * stretched to longer contexts than it began with. Numbers only; the turning is an op.
 */
import type { Llama3Scaling, RotaryPositions } from '../io/layer-attention.ts';

/** A frequency in radians a position for each pair of coordinates that turns, mostly headDim / 2. */
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
 * Llama 3: what turns at least `highFreqFactor` times over the original context keeps its frequency, what turns at most
 * `lowFreqFactor` times is divided by `factor`, and between the two the share of each goes by the number of turns.
 */
function stretched(frequency: number, scaling: Llama3Scaling): number {
  const { factor, lowFreqFactor, highFreqFactor, originalMaxPositionEmbeddings } = scaling;
  const turns = (originalMaxPositionEmbeddings * frequency) / (2 * Math.PI);
  const share = (turns - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
  const kept = Math.min(1, Math.max(0, share));
  return frequency * (kept + (1 - kept) / factor);
}
