/** Which of an adapter's matrix configurations kernels use. */
import { expect } from 'chai';
import { matrixUnit, SUBGROUP_MATRIX } from '../../src/gpu/matrix-unit.ts';

const ALL = [SUBGROUP_MATRIX, 'shader-f16', 'subgroups'];

function adapter(features: string[], configs?: [number, number, number, string, string][]): GPUAdapter {
  const subgroupMatrixConfigs = configs?.map(([M, N, K, componentType, resultComponentType]) => {
    return { M, N, K, componentType, resultComponentType };
  });
  const info = { subgroupMaxSize: 32, ...(configs && { subgroupMatrixConfigs }) };
  return { features: new Set(features), info } as unknown as GPUAdapter;
}

describe('the matrix unit of an adapter', () => {
  it('is the largest with half-precision factors and float32 sums that divides a tile', () => {
    const unit = matrixUnit(
      adapter(ALL, [
        [8, 8, 8, 'f16', 'f16'],
        [8, 8, 8, 'f16', 'f32'],
        [16, 8, 16, 'f16', 'f32'],
        [12, 16, 16, 'f16', 'f32'],
        [64, 16, 16, 'f16', 'f32'],
        [32, 32, 32, 'i8', 'i32'],
      ]),
    );
    expect(unit).to.deep.equal({ m: 16, n: 8, k: 16, subgroup: 32 });
  });

  it('is undefined without one, or without a feature that its kernel needs', () => {
    expect(matrixUnit(adapter(ALL))).to.equal(undefined);
    expect(matrixUnit(adapter(ALL, [[8, 8, 8, 'f32', 'f32']]))).to.equal(undefined);
    for (const missing of ALL) {
      const others = ALL.filter((name) => name !== missing);
      expect(matrixUnit(adapter(others, [[8, 8, 8, 'f16', 'f32']])), missing).to.equal(undefined);
    }
  });
});
