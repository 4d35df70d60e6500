import { expect } from 'chai';
import { Gpu } from '../../src/gpu/device.ts';
import { DeviceLostError, GpuValidationError, ShaderError } from '../../src/gpu/errors.ts';
import { narrowAdapter } from '../../src/testing/narrowed.ts';
import { LocalGpu } from '../../src/testing/test-gpu.ts';
import { verdictOf } from '../../src/testing/verdict.ts';
import { platformGpu } from '../support/gpu.ts';

const COUNTED = `
// @group(0) @binding(7) var<storage> not_this: array<f32>;
@binding(1) @group(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(0) var<uniform> count: u32;
@group(1) @binding(0) var<storage> x: array<f32>;
override FACTOR: f32 = 2.0;
@compute @workgroup_size(4) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < count) { y[id.x] = FACTOR * x[id.x]; }
}`;
const x = Float32Array.of(1, 2, 3, 4, 5);

describe('the device of the test kit', () => {
  let gpu: LocalGpu;
  before(async () => {
    gpu = await LocalGpu.open(await platformGpu());
  });
  after(() => gpu.dispose());

  const run = (count: number, length = 5) =>
    gpu.run({
      code: COUNTED,
      buffers: { x, y: new Float32Array(length), count: Uint32Array.of(count) },
      workgroups: 2,
    });

  it('runs a shader on buffers by name, in several groups, and leaves nothing behind', async () => {
    expect(await run(5)).deep.equal({ y: Float32Array.of(2, 4, 6, 8, 10) });
    expect(await gpu.finish()).deep.equal({ findings: [], leaks: [] });
  });

  it('passes constants, and data of several types', async () => {
    const code = COUNTED.replaceAll('array<f32>', 'array<u32>').replace(
      'FACTOR: f32 = 2.0',
      'FACTOR: u32 = 2u',
    );
    const buffers = { x: Uint16Array.of(1, 0, 2, 0), y: new Uint32Array(2), count: Uint32Array.of(2) };
    const { y } = await gpu.run({ code, buffers, workgroups: [1, 1], constants: { FACTOR: 3 } });
    expect(y).deep.equal(Uint32Array.of(3, 6));
  });

  it('detects a write past the length, and a far one that is clamped', async () => {
    const past = await failure(run(5, 3));
    expect(past.message).equal('shader.wgsl: wrote past the length of y, which is 3: element 3 is now 8.');
    const code = COUNTED.replace('y[id.x] =', 'y[id.x + 1000000u] =');
    const buffers = { x, y: new Float32Array(5), count: Uint32Array.of(5) };
    const wild = await gpu.run({ code, buffers, workgroups: 2 }).catch((error: Error) => error);
    // WebGPU may clamp the write or drop it.
    if (wild instanceof Error)
      expect(wild.message).match(/wrote past the length of y, which is 5: element \d+/);
    else expect(wild).deep.equal({ y: new Float32Array(5) });
  });

  it('gives a buffer with a queried length exactly that length', async () => {
    const code = COUNTED.replace('id.x < count', 'id.x < arrayLength(&y) && count > 0');
    const buffers = { x, y: new Float32Array(3), count: Uint32Array.of(1) };
    expect(await gpu.run({ code, buffers, workgroups: 2 })).deep.equal({ y: Float32Array.of(2, 4, 6) });
  });

  it('names buffers that are missing or unknown', async () => {
    const error = await failure(
      gpu.run({ code: COUNTED, buffers: { x, z: x, count: Uint32Array.of(1) }, workgroups: 1 }),
    );
    expect(error).instanceOf(GpuValidationError);
    expect(error.message).equal(
      'shader.wgsl: no data for y, and the code declares no buffer z. Buffers that it declares: y, count, x.',
    );
  });

  it('shows line and source of WGSL that does not compile, and does not affect later tests', async () => {
    const code = COUNTED.replace('FACTOR *', 'FACTOR +* ');
    const buffers = { x, y: x, count: Uint32Array.of(1) };
    const error = await failure(gpu.run({ name: 'mine.wgsl', code, buffers, workgroups: 1 }));
    expect(error).instanceOf(ShaderError);
    const [place, source] = error.message.split('\n');
    expect(place).match(/^mine\.wgsl:8:\d+: /);
    expect(source).equal('    if (id.x < count) { y[id.x] = FACTOR +*  x[id.x]; }');
    expect((await gpu.finish()).findings).deep.equal([]);
  });

  it('reports uncaptured errors, the shader first, and no others', async () => {
    await gpu.evaluate(async (device) => {
      device.pushErrorScope('validation');
      device.createBuffer({ size: 4, usage: 3 });
      await device.popErrorScope();
    });
    expect((await gpu.finish()).findings).deep.equal([]);
    await gpu.evaluate((device) => {
      device.createBuffer({ size: 4, usage: 3 });
      const module = device.createShaderModule({ label: 'wrong', code: 'fn f() {\n  let a = 1u + 1.5;\n}' });
      device.createComputePipeline({ layout: 'auto', compute: { module } });
    });
    const { findings } = await gpu.finish();
    expect(findings[0]?.kind).equal('shader');
    expect(findings[0]?.message).match(/^wrong:2:\d+: .*\n {4}let a = 1u \+ 1\.5;/);
    expect(findings.slice(1).map(({ kind }) => kind)).include('validation');
    expect(findings.filter(({ message }) => message.includes('1u + 1.5'))).length(1);
  });

  it('lists leaked objects', async () => {
    await gpu.evaluate((device) => {
      device.createBuffer({ label: 'gone', size: 4, usage: 8 }).destroy();
      device.createBuffer({ label: 'left', size: 4, usage: 8 });
    });
    const aftermath = await gpu.finish();
    expect(aftermath).deep.equal({ findings: [], leaks: ['buffer "left" of size 4'] });
    const message = 'GPU leak: 1 not destroyed:\n  buffer "left" of size 4';
    expect(verdictOf(aftermath, 'warn')).deep.equal({ error: undefined, warning: message });
    expect(verdictOf(aftermath, 'off')).deep.equal({ error: undefined, warning: undefined });
    expect(verdictOf(aftermath, 'error').error?.message).equal(message);
    expect((await gpu.finish()).leaks).deep.equal([]);
  });

  it('reports a loss, and is recreated', async () => {
    await gpu.evaluate((device) => device.destroy());
    expect(await failure(run(5))).instanceOf(DeviceLostError);
    const { findings } = await gpu.finish();
    expect(findings.map(({ kind }) => kind)).deep.equal(['lost']);
    expect(await run(5)).deep.equal({ y: Float32Array.of(2, 4, 6, 8, 10) });
  });
});

describe('a restricted adapter', () => {
  it('has the default limits and the given features, and rejects more', async () => {
    const found = (await (await platformGpu()).requestAdapter())!;
    const most = found.limits.maxStorageBufferBindingSize;
    const adapter = narrowAdapter(found, { limits: 'default', features: [] });
    expect(adapter.limits.maxStorageBufferBindingSize).equal(2 ** 27);
    expect(adapter.limits.maxStorageBuffersPerShaderStage).equal(8);
    expect([...adapter.features]).deep.equal([]);
    const more = adapter.requestDevice({ requiredLimits: { maxStorageBufferBindingSize: 2 ** 27 + 4 } });
    expect((await failure(more)).name).equal('OperationError');
    const feature = adapter.requestDevice({ requiredFeatures: ['shader-f16'] });
    expect((await failure(feature)).name).equal('TypeError');
    expect(most).at.least(2 ** 27);
    const gpu = await Gpu.request({ requestAdapter: async () => adapter } as unknown as GPU);
    expect(gpu.limits.maxStorageBufferBindingSize).equal(2 ** 27);
    gpu.dispose();
  });
});

/** What a promise rejects with. */
async function failure(promise: Promise<unknown>): Promise<Error> {
  const outcome = await promise.then(
    () => undefined,
    (error: Error) => error,
  );
  if (!outcome) throw new Error('it did not fail');
  return outcome;
}
