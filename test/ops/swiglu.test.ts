/** The gated unit against its float64 reference, by single elements and by vectors. */
import { expect } from 'chai';
import { swiglu } from '../../src/ops/swiglu.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { random } from '../reference/compare.ts';
import * as reference from '../reference/swiglu.ts';
import { testGpu } from '../support/gpu.ts';
import { checkOp } from '../support/op.ts';

describe('swiglu', () => {
  for (const [rows, cols] of [
    [1, 1],
    [6, 42],
    [42, 123],
    [431, 6],
    [8, 256],
  ]) {
    for (const scale of [1, 30]) {
      it(`(${rows}, ${cols}), gates near ${scale}`, async () => {
        const { normals } = random(rows * cols);
        const gate = Float32Array.from(normals(rows * cols, scale));
        const up = Float32Array.from(normals(rows * cols));
        // exp may be wrong by 3 + 2|z| units in the last place; where |z| is large the sigmoid hardly moves.
        const tolerance = { absolute: 1e-6, relative: 1e-5 };
        await checkOp(await testGpu(), {
          label: 'swiglu',
          inputs: {
            gate: { values: gate, shape: [rows, cols], trained: true },
            up: { values: up, shape: [rows, cols], trained: true },
          },
          run: (tape, t) => swiglu(tape, t.gate, t.up),
          value: () => reference.swiglu(gate, up),
          gradients: (dy) => {
            const { dgate, dup } = reference.swigluBackward(dy, gate, up);
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
    expect(() => swiglu(Tape.forInference(gpu), gate, up)).to.throw(
      'gate (1, 4) f32, but up is up (2, 4) f32',
    );
  });
});
