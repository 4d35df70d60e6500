/**
 * Selects the matrix sizes of a device's matrix units from the configurations of its adapter. Browsers and Dawn only offer
 * this feature as an experiment, so nothing depends on it.
 */

/** Not yet in WebGPU's types. */
export const SUBGROUP_MATRIX = 'chromium-experimental-subgroup-matrix' as GPUFeatureName;

/** Half-precision matrices, (m, k) times (k, n), whose products are accumulated in float32. */
export interface MatrixUnit {
  m: number;
  n: number;
  k: number;
  /** Number of threads in the largest subgroup. */
  subgroup: number;
}

interface Configuration {
  M: number;
  N: number;
  K: number;
  componentType: string;
  resultComponentType: string;
}

/** The tile size of the kernels must be a multiple of the matrix size. */
const SIDE = 32;
const NEEDED = [SUBGROUP_MATRIX, 'shader-f16', 'subgroups'] as const;

/** The largest half-precision matrices that kernels can use; undefined if there are none. */
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
