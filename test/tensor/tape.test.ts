/** The tape's laws, with ops so simple that every number can be told: what sets, what adds, what is released and when. */
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
import { requireSameBytes } from '../support/op.ts';

const SHAPE = [3, 4];

type Layer = (tape: Tape, x: Tensor) => Tensor;

function leaf(gpu: Gpu, values: ArrayLike<number>, shape: readonly number[] = SHAPE, label = 'x'): Tensor {
  const tensor = Tensor.from(gpu, Float32Array.from(values), shape, label);
  tensor.requiresGrad = true;
  return tensor;
}

const filled = (value: number): number[] => Array(12).fill(value);
const numbers = async (gpu: Gpu, tensor: Tensor | undefined): Promise<number[]> => [
  ...(await (tensor as Tensor).toArray(gpu)),
];

describe('the tape', () => {
  it('sets the first gradient of an activation and adds later ones', async () => {
    const gpu = await testGpu();
    const [tape, keep] = [Tape.forTraining(gpu), Tape.forInference(gpu)];
    const x = leaf(gpu, filled(1));
    // x is read three times, its double twice: dx = 3 · 2 · dy.
    const y = add(tape, add(tape, x, x), x);
    const z = add(tape, y, y);
    z.grad = leaf(gpu, filled(0.5));
    tape.backward(x, keep);
    expect(await numbers(gpu, x.grad)).to.deep.equal(filled(3));
    keep.dispose();
  });

  it('always adds to the gradient of a parameter, and never to a frozen one', async () => {
    const gpu = await testGpu();
    const store = new ParameterStore(gpu, [
      { name: 'w', shape: SHAPE, values: Float32Array.from(filled(1)) },
    ]);
    const w = store.get('w');
    const frozen = Tensor.from(gpu, Float32Array.from(filled(1)), SHAPE);
    for (const sum of [2, 4]) {
      const tape = Tape.forTraining(gpu);
      const y = add(tape, w, frozen);
      y.grad = Tensor.from(gpu, Float32Array.from(filled(2)), SHAPE);
      tape.backward();
      expect(await numbers(gpu, w.grad)).to.deep.equal(filled(sum));
    }
    expect(frozen.grad).to.equal(undefined);
    store.zeroGradients();
    expect(await numbers(gpu, w.grad)).to.deep.equal(filled(0));
    store.dispose();
  });

  it('replays in reverse, each op once its own gradient is whole', async () => {
    const gpu = await testGpu();
    const tape = Tape.forTraining(gpu);
    const order: string[] = [];
    const op = (name: string, inputs: Tensor[]): Tensor => {
      const output = tape.empty(SHAPE, name);
      tape.record({
        inputs,
        outputs: [output],
        backward: () => {
          order.push(name);
          for (const input of inputs) {
            const slot = tape.gradient(input);
            if (slot) order.push(`${input.label} ${slot.accumulate ? 'adds' : 'sets'}`);
          }
        },
      });
      return output;
    };
    const x = leaf(gpu, filled(1));
    const a = op('a', [x]);
    const b = op('b', [a]);
    const c = op('c', [a, b]);
    c.grad = leaf(gpu, filled(1));
    tape.backward();
    expect(order).to.deep.equal(['c', 'a sets', 'b sets', 'b', 'a adds', 'a', 'x sets']);
  });

  it('runs no closure that no gradient reaches', async () => {
    const gpu = await testGpu();
    const tape = Tape.forTraining(gpu);
    const frozen = Tensor.from(gpu, Float32Array.from(filled(1)), SHAPE);
    const x = leaf(gpu, filled(1));
    const withoutTrained = add(tape, frozen, frozen);
    const unused = add(tape, x, x);
    const y = add(tape, x, withoutTrained);
    expect([withoutTrained, unused, y].map((tensor) => tensor.requiresGrad)).to.deep.equal([
      false,
      true,
      true,
    ]);
    y.grad = leaf(gpu, filled(1));
    const before = gpu.recorder.report.dispatches;
    tape.backward();
    expect(gpu.recorder.report.dispatches - before).to.equal(1);
  });

  it('gives everything back, whichever way it ends', async () => {
    const gpu = await freshGpu();
    const x = leaf(gpu, filled(1));
    const weight = leaf(gpu, filled(0.5), [3, 4], 'w');
    const upstream = leaf(gpu, Array(9).fill(1), [3, 3]);
    const { live } = gpu.memory();
    const forward = (tape: Tape) => {
      const y = linear(tape, gatedUnit(tape, x, x), weight);
      y.grad = upstream;
    };
    const ends: Record<string, (tape: Tape) => void> = {
      backward: (tape) => tape.backward(),
      dispose: (tape) => tape.dispose(),
    };
    for (const [name, end] of Object.entries(ends)) {
      for (const tape of [Tape.forTraining(gpu), Tape.forInference(gpu)]) {
        forward(tape);
        expect(gpu.memory().live).to.be.above(live);
        end(tape);
        expect(gpu.memory().live, name).to.equal(live);
        for (const tensor of [x, weight]) tensor.grad = undefined;
      }
    }
    gpu.dispose();
  });

  it('releases an activation as soon as its closure has run', async () => {
    const gpu = await freshGpu();
    const tape = Tape.forTraining(gpu);
    const x = leaf(gpu, filled(1));
    const seen: number[] = [];
    let y: Tensor = x;
    for (let i = 0; i < 5; i++) {
      const input = y;
      const output = tape.empty([1000], `y ${i}`);
      const backward = () => {
        seen.push(gpu.memory().live);
        tape.gradient(input);
      };
      const saved = [tape.empty([1000], `saved ${i}`)];
      tape.record({ inputs: [input], outputs: [output], saved, backward });
      y = output;
    }
    y.grad = tape.empty([1000], 'upstream');
    tape.backward();
    // Each closure frees an output, its gradient and what was saved, and takes one new gradient.
    for (let i = 1; i < seen.length; i++) expect(seen[i]).to.equal(seen[i - 1] - 2 * 4096);
    gpu.dispose();
  });

  it('hands the gradient of one input to another tape', async () => {
    const gpu = await freshGpu();
    const [tape, heir] = [Tape.forTraining(gpu), Tape.forInference(gpu)];
    const x = leaf(gpu, filled(1));
    const { live } = gpu.memory();
    add(tape, x, x).grad = Tensor.from(gpu, Float32Array.from(filled(1)), SHAPE);
    tape.backward(x, heir);
    expect(await numbers(gpu, x.grad)).to.deep.equal(filled(2));
    heir.dispose();
    // All that is left is the upstream gradient of the test itself.
    expect(gpu.memory().live - live).to.equal(256);
    gpu.dispose();
  });

  it("makes a sum's gradient that of its summand without a copy, where it may", async () => {
    const gpu = await freshGpu();
    const tape = Tape.forTraining(gpu);
    const [sum, frozen] = [leaf(gpu, filled(1)), Tensor.from(gpu, new Float32Array(12), SHAPE)];
    const [fresh, taken] = [leaf(gpu, filled(1)), leaf(gpu, filled(1))];
    const upstream = leaf(gpu, filled(2));
    const { live } = gpu.memory();
    taken.grad = tape.empty(SHAPE, 'first gradient');
    sum.grad = upstream;
    expect(tape.handOver(sum, frozen), 'nobody wants it').to.equal(true);
    expect(tape.handOver(sum, fresh), 'it is not the tape’s own').to.equal(false);
    sum.grad = tape.empty(SHAPE, 'd sum');
    expect(tape.handOver(sum, taken), 'there is one to add to').to.equal(false);
    const own = sum.grad;
    expect(tape.handOver(sum, fresh)).to.equal(true);
    expect(fresh.grad).to.equal(own);
    expect(sum.grad).to.equal(undefined);
    tape.dispose();
    expect(gpu.memory().live).to.equal(live);
    gpu.dispose();
  });

  it('gives a kernel of several gradients temporaries for those that nobody wants', async () => {
    const gpu = await freshGpu();
    const tape = Tape.forTraining(gpu);
    const [wanted, frozen] = [leaf(gpu, filled(1)), Tensor.from(gpu, new Float32Array(12), SHAPE)];
    const { live } = gpu.memory();
    tape.gradients([frozen, frozen], () => expect.fail('nothing is wanted'));
    tape.gradients([wanted, frozen], ([first, second]) => {
      expect(first.grad).to.equal(wanted.grad);
      expect(second.grad.shape).to.deep.equal(SHAPE);
      expect(gpu.memory().live).to.equal(live + 2 * 256);
    });
    expect(gpu.memory().live).to.equal(live + 256);
    tape.dispose();
    gpu.dispose();
  });

  it('releases what an inference scope does not return', async () => {
    const gpu = await freshGpu();
    const tape = Tape.forInference(gpu);
    const x = tape.empty(SHAPE, 'x');
    const y = tape.scope(() => add(tape, add(tape, x, x), x));
    expect(gpu.memory().live).to.equal(2 * 256);
    const z = tape.scope(() => add(tape, y, y), [y]);
    expect(gpu.memory().live).to.equal(2 * 256);
    tape.release(z);
    tape.release(z);
    expect(gpu.memory().live).to.equal(256);
    tape.dispose();
    expect(gpu.memory().live).to.equal(0);
    gpu.dispose();
  });

  it('lets a tensor be its own gradient, once and first', async () => {
    const gpu = await testGpu();
    const tape = Tape.forTraining(gpu);
    const x = leaf(gpu, filled(1), SHAPE, 'x');
    expect(tape.gradientInPlace(x)).to.equal(x);
    expect(tape.gradient(x)).to.deep.equal({ grad: x, accumulate: 1 });
    expect(() => tape.gradientInPlace(x)).to.throw('x (3, 4) f32: its gradient has another place already');
    const frozen = Tensor.from(gpu, Float32Array.from(filled(1)), SHAPE);
    expect(tape.gradientInPlace(frozen)).to.equal(undefined);
    expect(frozen.grad).to.equal(undefined);
    tape.dispose();
  });

  it('keeps of a scope what closures will read and what it returns, and nothing else', async () => {
    const gpu = await freshGpu();
    const tape = Tape.forTraining(gpu);
    const x = leaf(gpu, filled(1));
    const { live } = gpu.memory();
    const heldNow = () => (gpu.memory().live - live) / 256;
    // Of a sum nothing is read; of a gated unit what goes in.
    const sum = tape.scope(() => add(tape, add(tape, x, x), x));
    expect(heldNow()).to.equal(1);
    const y = tape.scope(() => gatedUnit(tape, add(tape, sum, x), x), [sum]);
    expect(heldNow()).to.equal(2);
    // No gradient reaches a frozen one, so that nothing of it is read.
    const frozen = Tensor.from(gpu, Float32Array.from(filled(1)), SHAPE);
    tape.scope(() => gatedUnit(tape, add(tape, frozen, frozen), frozen));
    expect(heldNow()).to.equal(4);
    y.grad = leaf(gpu, filled(1));
    tape.backward();
    // The frozen tensor and the upstream gradient are the test's own.
    expect(heldNow()).to.equal(2);
    gpu.dispose();
  });

  it('says whose buffer was given up where an op reads what it did not name', async () => {
    const gpu = await testGpu();
    const tape = Tape.forTraining(gpu);
    const x = leaf(gpu, filled(1));
    const y = tape.scope(() => {
      const inner = add(tape, x, x);
      const output = tape.empty(SHAPE, 'output');
      const backward = () => add(tape, inner, inner);
      tape.record({ inputs: [inner], outputs: [output], reads: [], backward });
      return output;
    });
    y.grad = leaf(gpu, filled(1));
    expect(() => tape.backward()).to.throw('sum (3, 4) f32 is read, but its buffer was given up');
    tape.dispose();
  });

  it('says that a parameter has no gradient slot', async () => {
    const gpu = await testGpu();
    const w = leaf(gpu, filled(1), SHAPE, 'w');
    w.isParameter = true;
    expect(() => Tape.forTraining(gpu).gradient(w)).to.throw(
      'w (3, 4) f32: a trained parameter has no gradient slot',
    );
  });
});

describe('layers of which less is kept', () => {
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
    const x = leaf(gpu, normals(rows * width), [rows, width]);
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
    const dx = await (x.grad as Tensor).toArray(gpu);
    const gradients = await store.read('gradients');
    keep.dispose();
    store.dispose();
    const left = gpu.memory().live;
    gpu.dispose();
    return { value, dx, gradients, held, left };
  }

  it('run again, they give the same bytes and hold less', async () => {
    const [plain, saving] = [await run('plain'), await run('checkpointed')];
    requireSameBytes(saving.value, plain.value, 'value');
    requireSameBytes(saving.dx, plain.dx, 'dx');
    for (const [name, gradient] of plain.gradients) {
      requireSameBytes(saving.gradients.get(name) as Float32Array, gradient, name);
    }
    expect(saving.held).to.be.below(plain.held);
    expect(saving.left).to.equal(plain.left);
  });

  it('copies no gradient on its way past a layer', async () => {
    const gpu = await testGpu();
    const tape = Tape.forTraining(gpu);
    const weight = Tensor.from(gpu, new Float32Array(16).fill(1), [4, 4]);
    const layer = (inner: Tape, input: Tensor) =>
      linear(inner, linear(inner, input, weight), weight, { residual: input });
    const y = tape.checkpoint(layer, tape.checkpoint(layer, leaf(gpu, filled(1))));
    y.grad = tape.empty(SHAPE, 'upstream');
    const before = gpu.recorder.report.dispatches;
    tape.backward();
    // Each layer runs again, and each of its gradients is a product.
    expect(gpu.recorder.report.dispatches - before).to.equal(2 * (2 + 2));
  });

  it('packed, they give the same value, gradients of eleven bits, and hold less', async () => {
    const [plain, saving] = [await run('plain', 5), await run('packed', 5)];
    requireSameBytes(saving.value, plain.value, 'value');
    const off = [relativeL2(saving.dx, plain.dx)];
    for (const [name, gradient] of plain.gradients)
      off.push(relativeL2(saving.gradients.get(name) as Float32Array, gradient));
    // A number is rounded by up to 2^−11 of itself, 2^−12.8 in the mean, and the errors of five layers add like a random walk.
    for (const each of off) expect(each).to.be.below(1e-3);
    expect(Math.max(...off)).to.be.above(1e-6);
    // A layer keeps its sum, its unit and its result. Packed are those of all layers but the last and what it was given; a packed row
    // has two words beside those of its numbers, and a buffer whole 256 bytes.
    const [whole, packed] = [rows * width * 4, Math.ceil((rows * (width / 2 + 2) * 4) / 256) * 256];
    expect(plain.held).to.equal(15 * whole);
    expect(saving.held).to.equal(4 * whole + 11 * packed);
    expect(saving.left).to.equal(plain.left);
    // The backward pass begins with the last layer, which is not packed.
    const name = 'layer 4';
    requireSameBytes(
      saving.gradients.get(name) as Float32Array,
      plain.gradients.get(name) as Float32Array,
      name,
    );
  });

  it('packed, each tensor is put away when the next layer begins, and comes back once, for the first closure that reads it', async () => {
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
    // x is not the tape's own.
    expect(told).to.deep.equal([
      ...['forward a', 'forward b', 'pack a', 'forward c'],
      ...['backward c', 'unpack a', 'backward b', 'backward a'],
    ]);
    x.grad = undefined;
    expect(gpu.memory().live).to.equal(live);
    // Given up before its backward pass it gives back what is packed, too.
    const other = Tape.forTraining(gpu);
    y = x;
    for (const name of ['a', 'b', 'c']) y = other.scopePacked(packing, layer(name), y);
    other.dispose();
    expect(gpu.memory().live).to.equal(live);
    gpu.dispose();
  });

  it('reaches the parameters of a layer whose input is frozen', async () => {
    const gpu = await testGpu();
    const store = new ParameterStore(gpu, [
      { name: 'w', shape: SHAPE, values: new Float32Array(12).fill(1) },
    ]);
    const tape = Tape.forTraining(gpu);
    const x = Tensor.from(gpu, new Float32Array(8).fill(1), [2, 4]);
    const y = tape.checkpoint((inner, input) => linear(inner, input, store.get('w')), x);
    y.grad = Tensor.from(gpu, new Float32Array(6).fill(1), [2, 3]);
    tape.backward();
    expect(await numbers(gpu, store.get('w').grad)).to.deep.equal(filled(2));
    store.dispose();
  });
});
