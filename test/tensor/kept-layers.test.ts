/** Layers of which a tape keeps less: recomputed in the backward pass, or packed until then. */
import { expect } from 'chai';
import type { Gpu } from '../../src/gpu/device.ts';
import { add } from '../../src/ops/add.ts';
import { gatedUnit } from '../../src/ops/gated-unit.ts';
import { HALVES } from '../../src/ops/halves.ts';
import { linear } from '../../src/ops/linear.ts';
import { ParameterStore } from '../../src/tensor/parameters.ts';
import { type Packing, Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { random, relativeL2 } from '../reference/compare.ts';
import { freshGpu, testGpu } from '../support/gpu.ts';
import { asDevices, requireSameBytes } from '../support/op.ts';

const SHAPE = [3, 4];
const filled = (value: number): number[] => Array(12).fill(value);

type Layer = (tape: Tape, x: Tensor) => Tensor;

function leaf(gpu: Gpu, values: ArrayLike<number>, shape: readonly number[] = SHAPE): Tensor {
  const tensor = Tensor.from(gpu, Float32Array.from(values), shape, 'x');
  tensor.requiresGrad = true;
  return tensor;
}

describe('layers with reduced activations', () => {
  const width = 16;
  const rows = 40;
  const WAYS = {
    plain: (tape: Tape, layer: Layer, x: Tensor) => tape.scope(() => layer(tape, x), [x]),
    packed: (tape: Tape, layer: Layer, x: Tensor) => tape.scopePacked(HALVES, layer, x),
    checkpointed: (tape: Tape, layer: Layer, x: Tensor) => tape.checkpoint(layer, x),
  };

  async function run(way: keyof typeof WAYS, layers = 4) {
    const gpu = await freshGpu();
    const { normals } = random(3);
    const store = new ParameterStore(
      gpu,
      Array.from({ length: layers }, (_, i) => ({
        name: `layer ${i}`,
        shape: [width, width],
        values: Float32Array.from(normals(width * width, 0.3)),
      })),
    );
    const tape = Tape.forTraining(gpu);
    // Small, because units multiply: after five layers, larger values would leave the range of half precision, which
    // variants may use.
    const x = leaf(gpu, normals(rows * width, 0.5), [rows, width]);
    const before = gpu.memory().live;
    const layer = (i: number) => (inner: Tape, input: Tensor) => {
      const projected = linear(inner, input, store.get(`layer ${i}`));
      const unit = gatedUnit(inner, add(inner, projected, input), input);
      return linear(inner, unit, store.get(`layer ${i}`), { residual: input });
    };
    let y = x;
    for (let i = 0; i < layers; i++) y = WAYS[way](tape, layer(i), y);
    const held = gpu.memory().live - before;
    const value = await y.toArray(gpu);
    y.grad = Tensor.from(gpu, Float32Array.from(normals(rows * width)), [rows, width]);
    const keep = Tape.forInference(gpu);
    tape.backward(x, keep);
    const dx = await x.grad!.toArray(gpu);
    const gradients = await store.read('gradients');
    keep.dispose();
    store.dispose();
    const left = gpu.memory().live;
    gpu.dispose();
    return { value, dx, gradients, held, left };
  }

  it('recomputed, they give the same bytes and use less memory', async () => {
    const [plain, saving] = [await run('plain'), await run('checkpointed')];
    requireSameBytes(saving.value, plain.value, 'value');
    requireSameBytes(saving.dx, plain.dx, 'dx');
    for (const [name, gradient] of plain.gradients) {
      requireSameBytes(saving.gradients.get(name)!, gradient, name);
    }
    expect(saving.held).to.be.below(plain.held);
    expect(saving.left).to.equal(plain.left);
  });

  it('recomputed, they do not copy passed-on gradients', async () => {
    // On a GPU, where a residual sum needs no separate dispatch.
    const { gpu } = asDevices(await testGpu())[1];
    const tape = Tape.forTraining(gpu);
    const weight = Tensor.from(gpu, new Float32Array(16).fill(1), [4, 4]);
    const layer = (inner: Tape, input: Tensor) =>
      linear(inner, linear(inner, input, weight), weight, { residual: input });
    const y = tape.checkpoint(layer, tape.checkpoint(layer, leaf(gpu, filled(1))));
    y.grad = tape.empty(SHAPE, 'upstream');
    const before = gpu.recorder.report.dispatches;
    tape.backward();
    // Each layer is recomputed, and each of its gradients is a product.
    expect(gpu.recorder.report.dispatches - before).to.equal(2 * (2 + 2));
  });

  it('packed, they give the same value, gradients with eleven bits, and use less memory', async () => {
    const [plain, saving] = [await run('plain', 5), await run('packed', 5)];
    requireSameBytes(saving.value, plain.value, 'value');
    const off = [relativeL2(saving.dx, plain.dx)];
    for (const [name, gradient] of plain.gradients)
      off.push(relativeL2(saving.gradients.get(name)!, gradient));
    // A number is rounded by up to 2^−11 of its value, 2^−12.8 on average, and the errors of five layers add up like a
    // random walk.
    for (const each of off) expect(each).to.be.below(1e-3);
    expect(Math.max(...off)).to.be.above(1e-6);
    // A layer keeps its sum, its unit and its result. All are packed except those of the last layer and the input; a packed
    // row has two words besides those of its numbers, and a buffer is a multiple of 256 bytes.
    const [whole, packed] = [rows * width * 4, Math.ceil((rows * (width / 2 + 2) * 4) / 256) * 256];
    expect(plain.held).to.equal(15 * whole);
    expect(saving.held).to.equal(4 * whole + 11 * packed);
    expect(saving.left).to.equal(plain.left);
    // The backward pass begins with the last layer, which is not packed.
    const name = 'layer 4';
    requireSameBytes(saving.gradients.get(name)!, plain.gradients.get(name)!, name);
  });

  it('packed, each tensor is packed when the next layer begins, and unpacked once, for the first closure that reads it', async () => {
    const gpu = await freshGpu();
    const told: string[] = [];
    const packing: Packing = {
      name: 'copied',
      words: ({ length }) => length,
      pack: (gpu, tensor, into) => {
        told.push(`pack ${tensor.label}`);
        gpu.recorder.copy(tensor, into);
      },
      unpack: (gpu, from, tensor) => {
        told.push(`unpack ${tensor.label}`);
        gpu.recorder.copy(from, tensor);
      },
    };
    const tape = Tape.forTraining(gpu);
    const x = leaf(gpu, filled(1));
    const { live } = gpu.memory();
    const layer = (name: string) => (inner: Tape, input: Tensor) => {
      told.push(`forward ${name}`);
      const y = inner.empty(SHAPE, name);
      inner.record({
        inputs: [input],
        outputs: [y],
        backward: () => {
          told.push(`backward ${name}`);
          inner.gradient(input);
        },
      });
      return y;
    };
    let y: Tensor = x;
    for (const name of ['a', 'b', 'c']) y = tape.scopePacked(packing, layer(name), y);
    y.grad = tape.empty(SHAPE, 'upstream');
    tape.backward();
    // x does not belong to the tape.
    expect(told).to.deep.equal([
      ...['forward a', 'forward b', 'pack a', 'forward c'],
      ...['backward c', 'unpack a', 'backward b', 'backward a'],
    ]);
    x.grad = undefined;
    expect(gpu.memory().live).to.equal(live);
    // A tape that is disposed of before its backward pass also releases what is packed.
    const other = Tape.forTraining(gpu);
    y = x;
    for (const name of ['a', 'b', 'c']) y = other.scopePacked(packing, layer(name), y);
    other.dispose();
    expect(gpu.memory().live).to.equal(live);
    gpu.dispose();
  });

  it('gives gradients to the parameters of a layer with a frozen input', async () => {
    const gpu = await testGpu();
    const store = new ParameterStore(gpu, [
      { name: 'w', shape: SHAPE, values: new Float32Array(12).fill(1) },
    ]);
    const tape = Tape.forTraining(gpu);
    const x = Tensor.from(gpu, new Float32Array(8).fill(1), [2, 4]);
    const y = tape.checkpoint((inner, input) => linear(inner, input, store.get('w')), x);
    y.grad = Tensor.from(gpu, new Float32Array(6).fill(1), [2, 3]);
    tape.backward();
    expect([...(await store.get('w').grad!.toArray(gpu))]).to.deep.equal(filled(2));
    store.dispose();
  });
});
