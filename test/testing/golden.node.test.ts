import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { assertGolden } from '../../src/testing/golden.ts';

describe('golden files', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'webalign-golden-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it('are written on request, and compared otherwise', () => {
    const path = join(folder, 'deep/values.json');
    const values = Float32Array.of(0.1, -0, 3e-30, Number.POSITIVE_INFINITY);
    expect(() => assertGolden(values, path)).throws('WEBALIGN_GOLDEN=write');
    assertGolden(values, path, { write: true });
    assertGolden(values, path, { ulp: 0 });
    expect(() => assertGolden(Float32Array.of(0.2, 0, 3e-30, Number.POSITIVE_INFINITY), path)).throws(
      /values\.json: 1 of 4 elements differ.*\n.*index 0/,
    );
  });

  it('are rejected if they are invalid', async () => {
    const path = join(folder, 'other.json');
    await writeFile(path, '{"values": [1]}');
    expect(() => assertGolden([1], path)).throws('is not a golden file: expected a list of numbers');
  });
});
