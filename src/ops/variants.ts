/**
 * All operations with variants, for users who select one by name: the table behind `--variant`. Runs nothing.
 */
import type { Gpu } from '../gpu/device.ts';
import { GpuValidationError } from '../gpu/errors.ts';
import { ATTENTION_VARIANTS } from './attention.ts';
import { PRODUCT_VARIANTS } from './matmul.ts';
import { SOFTMAX_VARIANTS } from './softmax.ts';

const ALL = [...PRODUCT_VARIANTS, ...ATTENTION_VARIANTS, ...SOFTMAX_VARIANTS];

/** Names that can be requested. */
export const VARIANT_NAMES: readonly string[] = [...new Set(ALL.map(({ name }) => name))];

/** Throws a {@link GpuValidationError} for a requested variant that does not exist, or that the device cannot run. */
export function requireVariants({ variants, adapter }: Gpu): void {
  for (const asked of variants.asked) {
    const named = ALL.filter(({ name }) => name === asked);
    if (named.length === 0) {
      const names = VARIANT_NAMES.join(', ');
      throw new GpuValidationError(`unknown kernel variant ${asked}. Supported variants: ${names}.`);
    }
    const missing = named
      .map(({ feature }) => feature)
      .filter((feature) => feature && !adapter.features.includes(feature));
    if (missing.length === named.length) {
      throw new GpuValidationError(
        `the kernel variant ${asked} needs ${missing[0]}, which this adapter does not offer. Leave it out.`,
      );
    }
  }
}
