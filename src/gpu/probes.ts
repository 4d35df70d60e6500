/**
 * Trials of a new software adapter, because some of them do not implement WebGPU correctly. GPUs are not tried: no kernel uses
 * quads there, variants that use subgroups are measured and compared first, and loops have no limit.
 */
import { loopEndsAfter } from './loops.ts';
import { quadsExchange } from './quads.ts';

export interface Finding {
  /** For the user: what this adapter gets wrong, and the consequence. */
  warning: string;
  /** The feature that is not used because of it. */
  feature?: GPUFeatureName;
}

/** Runs the trials on a device with these features. */
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
