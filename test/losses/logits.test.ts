/** DPO in one call from logits: loss, gradient by the chain of references and by finite differences, in place, and refusals. */
import { expect } from 'chai';
import { dpo } from '../../src/losses/logits.ts';
import { sigmoid } from '../../src/losses/pair-losses.ts';
import { logitsOf } from '../../src/ops/logits.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectClose, random } from '../reference/compare.ts';
import { finiteDifferences } from '../reference/finite-difference.ts';
import * as reference from '../reference/losses.ts';
import { tokenLogprob } from '../reference/token-logprob.ts';
import { testGpu } from '../support/gpu.ts';
import { guards } from '../support/guard.ts';
import { requireSameBytes } from '../support/op.ts';

const SHAPE = { rows: 42, cols: 123 };
/** Three pairs of completions of odd lengths. */
const OFFSETS = Uint32Array.of(0, 1, 7, 20, 26, 30, 42);
const BETA = 0.3;

/** The masked tokens, and the rows of a block if the logits are larger than one binding. */
const IN_PLACE: Record<
  string,
  { mask?: 'others' | 'targets'; shape: typeof SHAPE; offsets: Uint32Array; block?: number }
> = {
  'three pairs': { shape: SHAPE, offsets: OFFSETS },
  'masked entries': { mask: 'others', shape: SHAPE, offsets: OFFSETS },
  'masked targets': { mask: 'targets', shape: SHAPE, offsets: OFFSETS },
  'a row each, one token': { shape: { rows: 2, cols: 1 }, offsets: Uint32Array.of(0, 1, 2) },
  'a wide vocabulary': { shape: { rows: 5, cols: 50_257 }, offsets: Uint32Array.of(0, 2, 5) },
  'blocks of rows': {
    shape: { rows: 300, cols: 33 },
    offsets: Uint32Array.of(0, 100, 140, 200, 300),
    block: 130,
  },
};

function draw(seed: number) {
  const { normals, ints } = random(seed);
  const { rows, cols } = SHAPE;
  const reference = Float32Array.from(normals(rows * cols, 2));
  const noise = normals(rows * cols, 0.7);
  return {
    reference,
    policy: reference.map((z, i) => z + noise[i]),
    targets: ints(rows, cols),
  };
}

/** Mean loss over the pairs, in float64. */
function meanLoss(
  policy: ArrayLike<number>,
  { reference: other, targets }: ReturnType<typeof draw>,
  smoothing = 0,
) {
  const sums = [policy, other].map((logits) => {
    const { logprob } = tokenLogprob(logits, targets, SHAPE);
    return Array.from({ length: 6 }, (_, s) =>
      logprob.subarray(OFFSETS[s], OFFSETS[s + 1]).reduce((sum, value) => sum + value, 0),
    );
  });
  const side = (which: 0 | 1, parity: 0 | 1) => sums[which].filter((_, s) => s % 2 === parity);
  return reference.dpo(
    {
      policyChosen: side(0, 0),
      policyRejected: side(0, 1),
      referenceChosen: side(1, 0),
      referenceRejected: side(1, 1),
    },
    { beta: BETA, labelSmoothing: smoothing },
  ).loss;
}

describe('dpo on logits', () => {
  for (const labelSmoothing of [0, 0.1]) {
    it(`gives the loss and its gradient, ε ${labelSmoothing}`, async () => {
      const gpu = await testGpu();
      const live = gpu.memory().live;
      const data = draw(1);
      const { rows, cols } = SHAPE;
      const policy = Tensor.from(gpu, data.policy, [rows, cols], 'policy');
      const other = Tensor.from(gpu, data.reference, [rows, cols], 'reference');
      const inputs = { policy, reference: other, targets: data.targets, offsets: OFFSETS };
      const result = dpo(gpu, inputs, { options: { beta: BETA, labelSmoothing } });
      const { loss } = await result.metrics();
      expectClose([loss], [meanLoss(data.policy, data, labelSmoothing)], { relative: 1e-5, label: 'loss' });

      const gradient = await result.gradient.toArray(gpu);
      const samples = finiteDifferences(
        (z) => meanLoss(z, data, labelSmoothing),
        Float64Array.from(data.policy),
        { samples: 60, seed: 2 },
      );
      const measured = samples.map(({ value }) => value);
      expectClose(
        samples.map(({ index }) => gradient[index]),
        measured,
        { absolute: 2e-7, relative: 1e-4, label: 'gradient' },
      );

      // A second call adds to the given gradient.
      const again = dpo(gpu, inputs, {
        loss: sigmoid,
        options: { beta: BETA, labelSmoothing },
        gradient: result.gradient,
      });
      expectClose(
        await again.gradient.toArray(gpu),
        gradient.map((d) => 2 * d),
        { absolute: 1e-9, relative: 1e-6 },
      );
      expect(policy.grad).to.equal(undefined);
      again.dispose();
      result.dispose();
      for (const tensor of [policy, other]) gpu.pool.release(tensor);
      expect(gpu.memory().live).to.equal(live);
    });
  }

  for (const [name, { mask, shape, offsets, block }] of Object.entries(IN_PLACE)) {
    it(`writes the same bits over the policy’s logits: ${name}`, async () => {
      const real = await testGpu();
      const { gpu: guarded, check } = guards(real);
      const { rows, cols } = shape;
      const limits = block && { maxStorageBufferBindingSize: block * cols * 4 };
      const gpu: typeof real = limits ? Object.create(guarded, { limits: { value: limits } }) : guarded;
      const { normals, ints } = random(5);
      const targets = ints(rows, cols);
      // Every third entry is masked, and with it some targets.
      const logits = [3, 4].map((spread) =>
        Float32Array.from(normals(rows * cols, spread), (z, i) =>
          mask && i % 3 === 0 && (mask === 'targets' || i % cols !== targets[Math.floor(i / cols)])
            ? -Infinity
            : z,
        ),
      );
      const run = async (inPlace: boolean) => {
        const [policy, other] = logits.map((each) => Tensor.from(gpu, each, [rows, cols], 'logits'));
        const inputs = { policy: policy, reference: other, targets, offsets };
        const result = dpo(gpu, inputs, { options: { beta: BETA, labelSmoothing: 0.1 }, inPlace });
        const { buffer, offset } = result.gradient;
        const isThere = buffer === policy?.buffer && offset === policy.offset;
        expect(isThere).to.equal(inPlace);
        expect(policy?.grad).to.equal(undefined);
        const { gradient, records } = result;
        const read = [gradient, records, other].map((each) => each.toArray(gpu));
        return await Promise.all(read);
      };
      const [expected, actual] = [await run(false), await run(true)];
      ['gradient', 'records', 'reference'].forEach((what, i) => {
        requireSameBytes(actual[i], expected[i], what);
      });
      await check();
    });
  }

  it('in place uses two buffers of (N, V), and does not free the policy’s', async () => {
    const gpu = (await testGpu()).countingCopy();
    const { rows, cols } = { rows: 64, cols: 1 << 16 };
    const [policy, other] = [1, 2].map(() => Tensor.reserve(gpu, [rows, cols], 'f32', 'logits'));
    const inputs = {
      policy: policy,
      reference: other,
      targets: new Uint32Array(rows),
      offsets: Uint32Array.of(0, 20, rows),
    };
    const { live } = gpu.memory();
    const result = dpo(gpu, inputs, { inPlace: true });
    expect(gpu.memory().peak - live).to.be.below(rows * cols);
    result.dispose();
    expect(gpu.memory().live).to.equal(live);
  });

  it('is ln 2 on two equal buffers of the caller', async () => {
    const gpu = await testGpu();
    const data = draw(3);
    const { rows, cols } = SHAPE;
    const [policy, other] = [0, 1].map(() => {
      const buffer = gpu.device.createBuffer({ size: data.policy.byteLength, usage: 0x80 | 0x08 }); // STORAGE | COPY_DST
      gpu.device.queue.writeBuffer(buffer, 0, data.policy);
      return buffer;
    }) as [GPUBuffer, GPUBuffer];
    const result = dpo(gpu, {
      policy: logitsOf(policy, rows, cols),
      reference: logitsOf(other, rows, cols),
      targets: data.targets,
      offsets: OFFSETS,
    });
    expectClose([await result.loss()], [Math.LN2], { absolute: 6e-8 });
    result.dispose();
    for (const buffer of [policy, other]) buffer.destroy();
  });

  it('rejects invalid input before any work', async () => {
    const gpu = await testGpu();
    const live = gpu.memory().live;
    const data = draw(4);
    const { rows, cols } = SHAPE;
    const policy = Tensor.from(gpu, data.policy, [rows, cols], 'policy');
    const good = { policy, reference: policy, targets: data.targets, offsets: OFFSETS };
    const outside = data.targets.slice();
    outside[5] = cols;
    const refused = (change: Partial<typeof good>, message: string) =>
      expect(() => dpo(gpu, { ...good, ...change })).to.throw(RangeError, message);
    refused({ targets: outside }, 'target 123 of row 5 is outside the vocabulary of 123');
    refused({ targets: data.targets.slice(1) }, '41 targets for 42 rows');
    refused({ offsets: Uint32Array.of(0, 42) }, 'got 2');
    refused({ offsets: Uint32Array.of(0, 30, 20, 25, 42) }, 'must increase from 0 to 42');
    refused({ offsets: Uint32Array.of(0, 20, 41) }, 'must increase from 0 to 42');
    refused({ reference: logitsOf(policy, 41, cols) }, 'differ in shape');
    expect(() => dpo(gpu, good, { options: { gamma: 1 } })).to.throw(RangeError, 'has no gamma');
    expect(() => dpo(gpu, good, { inPlace: true, gradient: policy })).to.throw(
      RangeError,
      'inPlace writes the gradient over policy (42, 123) f32',
    );
    gpu.pool.release(policy);
    expect(gpu.memory().live).to.equal(live);
  });
});
