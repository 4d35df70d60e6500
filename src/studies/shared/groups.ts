/**
 * Numbers by opening: studies measure a group of numbers for each opening, one for each of its stories.
 */

/** A group of numbers for each prompt: one number for each of its samples. */
export type Groups = readonly (readonly number[])[];

/** The mean of each group. */
export function means(groups: Groups): number[] {
  return groups.map(mean);
}

export function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

/** Splits consecutive values into groups of `size`. */
export function inGroups<T>(values: readonly T[], size: number): T[][] {
  return Array.from({ length: values.length / size }, (_, i) => values.slice(i * size, (i + 1) * size));
}
