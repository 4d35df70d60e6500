/** Kernels by name: how a call can be wrong, and how many workgroups it starts. */
import { expect } from 'chai';
import { GpuValidationError } from '../../src/gpu/errors.ts';
import { kernels } from '../../src/gpu/kernel.ts';
import { testGpu } from '../support/gpu.ts';
import { affine, shaderOf } from '../support/shader.ts';

const { fill } = kernels(affine, { fill: { groups: (p) => p.count } });
const params = { count: 5, a: 2, b: -1 };

async function filled(
  count: number,
  ...rest: [params?: Record<string, number>, constants?: Record<string, number>]
) {
  const gpu = await testGpu();
  const y = gpu.pool.allocate(count * 4, 'y');
  fill(gpu, { y }, rest[0] ?? { ...params, count }, rest[1]);
  const values = new Float32Array(await gpu.read(y), 0, count);
  gpu.pool.release(y);
  return values;
}

async function expectRefused(
  call: Parameters<typeof fill> extends [unknown, ...infer Rest] ? Rest : never,
  message: string,
) {
  const gpu = await testGpu();
  expect(() => fill(gpu, ...call)).to.throw(GpuValidationError, message);
}

describe('a kernel', () => {
  it('passes its parameters, each with its type', async () => {
    expect([...(await filled(5))]).to.deep.equal([-1, 1, 3, 5, 7]);
  });

  it('replaces constants and overrides', async () => {
    expect([...(await filled(3, undefined, { OFFSET: 0.5, WORKGROUP: 2 }))]).to.deep.equal([-0.5, 1.5, 3.5]);
  });

  it('runs without parameters: a shader without Params, an entry that does not read them', async () => {
    const gpu = await testGpu();
    const shader = shaderOf(`
struct Params { step: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(1)
fn add() { y[0] += params.step; }
@compute @workgroup_size(1)
fn double() { y[0] *= 2.0; }`);
    const bare = shaderOf(`
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(1)
fn square() { y[0] *= y[0]; }`);
    const one = { groups: () => 1 };
    const { add, double } = kernels(shader, { add: one, double: one });
    const { square } = kernels(bare, { square: one });
    const y = gpu.upload(Float32Array.of(4), 'y');
    add(gpu, { y }, { step: -1 });
    double(gpu, { y });
    square(gpu, { y });
    add(gpu, { y }, { step: 0.5 });
    expect([...new Float32Array(await gpu.read(y))]).to.deep.equal([36.5]);
    expect(() => square(gpu, { y }, { step: 1 })).to.throw('test.wgsl:square: unknown parameter step');
    gpu.pool.release(y);
  });

  it('spreads workgroups over two dimensions if one is too small', async () => {
    const count = 70_001;
    const values = await filled(count, { count, a: 1, b: 0 });
    expect(values.findIndex((value, i) => value !== i)).to.equal(-1);
  });

  it('dispatches nothing for zero workgroups', async () => {
    const gpu = await testGpu();
    const y = gpu.upload(Float32Array.of(4), 'y');
    fill(gpu, { y }, { ...params, count: 0 });
    expect([...new Float32Array(await gpu.read(y))]).to.deep.equal([4]);
    gpu.pool.release(y);
  });

  it('accepts a buffer of the caller like a view', async () => {
    const gpu = await testGpu();
    const own = gpu.device.createBuffer({ size: 20, usage: 0x80 | 0x04 });
    fill(gpu, { y: own }, params);
    const data = await gpu.read({ buffer: own, offset: 0, size: 20 });
    expect([...new Float32Array(data)]).to.deep.equal([-1, 1, 3, 5, 7]);
    own.destroy();
  });

  it('names missing and unknown bindings', async () => {
    const gpu = await testGpu();
    const y = gpu.pool.allocate(20, 'y');
    await expectRefused([{}, params], 'test.wgsl:fill: buffer y is missing');
    await expectRefused([{ y, x: y }, params], 'test.wgsl:fill: unknown buffer x');
    await expectRefused([{ y }, { count: 5, a: 2 }], 'test.wgsl:fill: parameter b is missing');
    await expectRefused([{ y }, { ...params, c: 1 }], 'test.wgsl:fill: unknown parameter c');
    await expectRefused(
      [{ y }, params, { SPEED: 1 }],
      'test.wgsl:fill: no constant or override is called SPEED',
    );
    await expectRefused([{ y }, { ...params, count: 2.5 }], 'test.wgsl:fill: 2.5 workgroups');
    gpu.pool.release(y);
  });

  it('names an entry that the shader does not have', async () => {
    const gpu = await testGpu();
    const { empty } = kernels(affine, { empty: { groups: () => 1 } });
    expect(() => empty(gpu, {})).to.throw(
      GpuValidationError,
      'test.wgsl:empty: no such entry; the file has fill',
    );
  });

  it('rejects a view above the binding limit, and says what to do', async () => {
    const gpu = await testGpu();
    const { buffer } = gpu.pool.allocate(4, 'y');
    const size = gpu.limits.maxStorageBufferBindingSize + 4;
    await expectRefused(
      [{ y: { buffer, offset: 0, size } }, params],
      `buffer y has ${size} bytes, more than this device's`,
    );
  });
});
