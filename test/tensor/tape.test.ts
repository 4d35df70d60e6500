/** The rules of the tape, with ops so simple that every number is known: what sets, what adds, what is released and when. */
import { expect } from 'chai';
import type { Gpu } from '../../src/gpu/device.ts';
import { add } from '../../src/ops/add.ts';
import { gatedUnit } from '../../src/ops/gated-unit.ts';
import { linear } from '../../src/ops/linear.ts';
import { ParameterStore } from '../../src/tensor/parameters.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { freshGpu, testGpu } from '../support/gpu.ts';

const SHAPE = [3, 4];

function leaf(gpu: Gpu, values: ArrayLike<number>, shape: readonly number[] = SHAPE, label = 'x'): Tensor {
  const tensor = Tensor.from(gpu, Float32Array.from(values), shape, label);
  tensor.requiresGrad = true;
  return tensor;
}

const filled = (value: number): number[] => Array(12).fill(value);
const numbers = async (gpu: Gpu, tensor: Tensor | undefined): Promise<number[]> => [
  ...(await tensor!.toArray(gpu)),
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

  it('replays in reverse, each op once its own gradient is complete', async () => {
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

  it('runs no closure without a gradient', async () => {
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

  it('frees everything, however it ends', async () => {
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
    // Each closure releases an output, its gradient and what was saved, and allocates one new gradient.
    for (let i = 1; i < seen.length; i++) expect(seen[i]).to.equal(seen[i - 1] - 2 * 4096);
    gpu.dispose();
  });

  it('passes the gradient of one input to another tape', async () => {
    const gpu = await freshGpu();
    const [tape, heir] = [Tape.forTraining(gpu), Tape.forInference(gpu)];
    const x = leaf(gpu, filled(1));
    const { live } = gpu.memory();
    add(tape, x, x).grad = Tensor.from(gpu, Float32Array.from(filled(1)), SHAPE);
    tape.backward(x, heir);
    expect(await numbers(gpu, x.grad)).to.deep.equal(filled(2));
    heir.dispose();
    // Only the test's own upstream gradient is left.
    expect(gpu.memory().live - live).to.equal(256);
    gpu.dispose();
  });

  it("passes a sum's gradient to its summand without a copy, if possible", async () => {
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

  it('gives temporaries to a kernel for gradients that are not needed', async () => {
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
    expect(() => tape.gradientInPlace(x)).to.throw('x (3, 4) f32: its gradient already has another buffer');
    const frozen = Tensor.from(gpu, Float32Array.from(filled(1)), SHAPE);
    expect(tape.gradientInPlace(frozen)).to.equal(undefined);
    expect(frozen.grad).to.equal(undefined);
    tape.dispose();
  });

  it('keeps only the tensors of a scope that closures read or that it returns', async () => {
    const gpu = await freshGpu();
    const tape = Tape.forTraining(gpu);
    const x = leaf(gpu, filled(1));
    const { live } = gpu.memory();
    const heldNow = () => (gpu.memory().live - live) / 256;
    // The backward pass reads nothing of a sum, and the inputs of a gated unit.
    const sum = tape.scope(() => add(tape, add(tape, x, x), x));
    expect(heldNow()).to.equal(1);
    const y = tape.scope(() => gatedUnit(tape, add(tape, sum, x), x), [sum]);
    expect(heldNow()).to.equal(2);
    // A frozen input gets no gradient, so nothing of it is read.
    const frozen = Tensor.from(gpu, Float32Array.from(filled(1)), SHAPE);
    tape.scope(() => gatedUnit(tape, add(tape, frozen, frozen), frozen));
    expect(heldNow()).to.equal(4);
    y.grad = leaf(gpu, filled(1));
    tape.backward();
    // The frozen tensor and the upstream gradient are the test's own.
    expect(heldNow()).to.equal(2);
    gpu.dispose();
  });

  it('names a released buffer if an op reads an undeclared tensor', async () => {
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
    expect(() => tape.backward()).to.throw('sum (3, 4) f32 is read, but its buffer was released');
    tape.dispose();
  });

  it('reports that a parameter has no gradient slot', async () => {
    const gpu = await testGpu();
    const w = leaf(gpu, filled(1), SHAPE, 'w');
    w.isParameter = true;
    expect(() => Tape.forTraining(gpu).gradient(w)).to.throw(
      'w (3, 4) f32: a trained parameter has no gradient slot',
    );
  });
});
