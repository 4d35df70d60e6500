import { expect, ODD_LENGTHS, random, test } from 'webalign/testing/vitest';
import code from './double.wgsl?raw';

for (const length of ODD_LENGTHS) {
  test(`doubles ${length} numbers`, async ({ gpu }) => {
    const numbers = Float32Array.from(random(length).normals(length));
    const { x } = await gpu.run({
      name: 'double.wgsl',
      code,
      buffers: { count: Uint32Array.of(length), x: numbers },
      workgroups: Math.ceil(length / 64),
    });
    expect(x).toBeCloseToTensor(numbers.map((number) => 2 * number));
  });
}
