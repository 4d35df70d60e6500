/** Activations without a gate, compared with the reference of the gated unit whose other factor is one. */
import { activate } from '../../src/ops/activate.ts';
import { random } from '../reference/compare.ts';
import * as reference from '../reference/gated-unit.ts';
import { testGpu } from '../support/gpu.ts';
import { checkOp } from '../support/op.ts';

describe('activate', () => {
  for (const [rows, cols, scale] of [
    [1, 1, 1],
    [6, 43, 1],
    [8, 256, 30],
  ]) {
    for (const activation of ['silu', 'gelu'] as const) {
      it(`(${rows}, ${cols}), ${activation}, numbers near ${scale}`, async () => {
        const x = Float32Array.from(random(rows * cols).normals(rows * cols, scale));
        const ones = new Float64Array(x.length).fill(1);
        const gelu = activation === 'gelu';
        // exp may be wrong by 3 + 2|z| units in the last place; for large |z| the sigmoid hardly changes.
        const tolerance = { absolute: 1e-6, relative: 1e-5 };
        await checkOp(await testGpu(), {
          label: activation,
          inputs: { x: { values: x, shape: [rows, cols], trained: true } },
          run: (tape, t) => activate(tape, t.x, activation),
          value: () => (gelu ? reference.geglu : reference.swiglu)(x, ones),
          gradients: (dy) => ({
            x: (gelu ? reference.gegluBackward : reference.swigluBackward)(dy, x, ones).dgate,
          }),
          tolerance: { value: tolerance, gradient: tolerance },
        });
      });
    }
  }
});
