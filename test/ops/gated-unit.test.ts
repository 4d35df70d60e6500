/** Gated units against their float64 reference, by single elements and by vectors. */
import { expect } from 'chai';
import { gatedUnit } from '../../src/ops/gated-unit.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { random } from '../reference/compare.ts';
import * as reference from '../reference/gated-unit.ts';
import { testGpu } from '../support/gpu.ts';
import { checkOp } from '../support/op.ts';

const UNITS = {
  silu: { value: reference.swiglu, gradients: reference.swigluBackward },
  gelu: { value: reference.geglu, gradients: reference.gegluBackward },
};

describe('gated unit', () => {
  for (const [rows, cols] of [
    [1, 1],
    [6, 42],
    [42, 123],
    [431, 6],
    [8, 256],
  ]) {
    for (const [activation, scale] of [
      ['silu', 1],
      ['silu', 30],
      ['gelu', 1],
      ['gelu', 30],
    ] as const) {
      it(`(${rows}, ${cols}), ${activation}, gates near ${scale}`, async () => {
        const unit = UNITS[activation];
        const { normals } = random(rows * cols);
        const gate = Float32Array.from(normals(rows * cols, scale));
        const up = Float32Array.from(normals(rows * cols));
        // exp may be wrong by 3 + 2|z| units in the last place; for large |z| the sigmoid hardly changes.
        const tolerance = { absolute: 1e-6, relative: 1e-5 };
        await checkOp(await testGpu(), {
          label: activation,
          inputs: {
            gate: { values: gate, shape: [rows, cols], trained: true },
            up: { values: up, shape: [rows, cols], trained: true },
          },
          run: (tape, t) => gatedUnit(tape, t.gate, t.up, activation),
          value: () => unit.value(gate, up),
          gradients: (dy) => {
            const { dgate, dup } = unit.gradients(dy, gate, up);
            return { gate: dgate, up: dup };
          },
          tolerance: { value: tolerance, gradient: tolerance },
        });
      });
    }
  }

  it('refuses inputs of two sizes', async () => {
    const gpu = await testGpu();
    const gate = Tensor.from(gpu, new Float32Array(4), [1, 4], 'gate');
    const up = Tensor.from(gpu, new Float32Array(8), [2, 4], 'up');
    expect(() => gatedUnit(Tape.forInference(gpu), gate, up)).to.throw(
      'gate (1, 4) f32, but up is up (2, 4) f32',
    );
  });
});
