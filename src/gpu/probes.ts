/**
 * What is tried on a software adapter before it is used, because some do not do what WebGPU says. On a GPU no kernel runs by
 * quads, what else runs by subgroups is measured, and compared, first, and loops run to their end.
 */
import { loopEndsAfter } from './loops.ts';
import { quadsExchange } from './quads.ts';

export interface Finding {
  /** For the user: what does not do as it should, and what that means. */
  warning: string;
  /** A feature that is left alone because of it. */
  feature?: GPUFeatureName;
}

/** Tries a new device that has these features. */
export async function findings(device: GPUDevice, features: readonly GPUFeatureName[]): Promise<Finding[]> {
  const [quads, end] = await Promise.all([
    !features.includes('subgroups') || quadsExchange(device),
    loopEndsAfter(device),
  ]);
  const found: Finding[] = [];
  if (!quads) {
    const warning = 'The subgroups of this adapter compute wrongly and are left alone.';
    found.push({ feature: 'subgroups', warning });
  }
  if (end !== undefined) {
    const warning =
      `This adapter ends the loops of a shader after ${end} iterations in all. The kernels of webalign stay below that; ` +
      'WGSL of your own, such as a loss, computes wrongly where it loops for longer.';
    found.push({ warning });
  }
  return found;
}
