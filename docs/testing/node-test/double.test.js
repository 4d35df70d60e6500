import { readFileSync } from 'node:fs';
import { assertCloseToTensor, ODD_LENGTHS, random, test } from 'webalign/testing/node';

const code = readFileSync(new URL('double.wgsl', import.meta.url), 'utf8');

for (const length of ODD_LENGTHS) {
  test(`doubles ${length} numbers`, async ({ gpu }) => {
    const numbers = Float32Array.from(random(length).normals(length));
    const { x } = await gpu.run({
      name: 'double.wgsl',
      code,
      buffers: { count: Uint32Array.of(length), x: numbers },
      workgroups: Math.ceil(length / 64),
    });
    assertCloseToTensor(
      x,
      numbers.map((number) => 2 * number),
    );
  });
}
