/**
 * What a device's matrix units multiply, out of the configurations that an adapter lists: a feature that browsers and Dawn
 * hold back as an experiment, so nothing relies on it. Chooses; runs nothing.
 */

/** WebGPU's types do not know it yet. */
export const SUBGROUP_MATRIX = 'chromium-experimental-subgroup-matrix' as GPUFeatureName;

/** Matrices of half precision, (m, k) times (k, n), whose products are summed in float32. */
export interface MatrixUnit {
  m: number;
  n: number;
  k: number;
  /** Threads of the largest subgroup. */
  subgroup: number;
}

interface Configuration {
  M: number;
  N: number;
  K: number;
  componentType: string;
  resultComponentType: string;
}

/** What kernels divide their tiles by. */
const SIDE = 32;
const NEEDED = [SUBGROUP_MATRIX, 'shader-f16', 'subgroups'] as const;

/** The largest matrices of half precision that kernels can use; undefined where there are none. */
export function matrixUnit({
  features,
  info,
}: Pick<GPUAdapter, 'features' | 'info'>): MatrixUnit | undefined {
  if (!NEEDED.every((name) => features.has(name))) return undefined;
  const { subgroupMatrixConfigs = [] } = info as GPUAdapterInfo & { subgroupMatrixConfigs?: Configuration[] };
  const units = [...subgroupMatrixConfigs]
    .filter((one) => one.componentType === 'f16' && one.resultComponentType === 'f32')
    .filter(({ M, N, K }) => [M, N, K].every((size) => size >= 4 && SIDE % size === 0))
    .map(({ M, N, K }) => ({ m: M, n: N, k: K, subgroup: info.subgroupMaxSize }));
  return units.sort((a, b) => b.m * b.n * b.k - a.m * a.n * a.k)[0];
}
