/** Errors of a device are distinguished, and none is lost: no adapter, a wrong call, a broken shader, a lost device. */
import { expect } from 'chai';
import { Gpu } from '../../src/gpu/device.ts';
import {
  DeviceLostError,
  GpuValidationError,
  MemoryCapError,
  NoAdapterError,
  ShaderError,
} from '../../src/gpu/errors.ts';
import { kernels } from '../../src/gpu/kernel.ts';
import { freshGpu, testGpu } from '../support/gpu.ts';
import { affine, shaderOf } from '../support/shader.ts';

const { fill } = kernels(affine, { fill: { groups: (p) => p.count } });

async function failure(run: () => Promise<unknown>): Promise<Error> {
  try {
    await run();
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing failed');
}

describe('a device', () => {
  it('reports that there is no adapter', async () => {
    const none = { requestAdapter: async () => null } as unknown as GPU;
    const error = await failure(() => Gpu.request(none));
    expect(error).to.be.instanceOf(NoAdapterError);
    expect(error.message).to.include('update the browser or the GPU driver');
  });

  it('requests the limits of its adapter', async () => {
    const { limits, adapter } = await testGpu();
    expect(limits.maxStorageBuffersPerShaderStage).to.be.at.least(8);
    expect(limits.maxStorageBufferBindingSize).to.be.at.least(128 * 1024 * 1024);
    expect(adapter.vendor).to.be.a('string');
  });

  it('shows the position of an error in a shader', async () => {
    const gpu = await freshGpu();
    const broken = shaderOf(
      '\n@compute @workgroup_size(1)\nfn run() {\n  let x: u32 = 1.5;\n}',
      'layers/broken.wgsl',
    );
    const { run } = kernels(broken, { run: { groups: () => 1 } });
    const error = await failure(() => gpu.compile([run.key()]));
    expect(error).to.be.instanceOf(ShaderError);
    expect(error.message).to.match(/layers\/broken\.wgsl:4:\d+: .*\n {4}let x: u32 = 1\.5;/s);
    gpu.dispose();
  });

  it('throws a validation error where its results are awaited', async () => {
    const gpu = await freshGpu();
    const y = gpu.pool.allocate(16, 'y');
    // An offset that is no multiple of the alignment: the device itself refuses.
    fill(gpu, { y: { ...y, offset: 4, size: 8 } }, { count: 1, a: 1, b: 1 });
    const error = await failure(() => gpu.read(y));
    expect(error).to.be.instanceOf(GpuValidationError);
    expect(() => gpu.check()).to.throw(GpuValidationError);
    gpu.dispose();
  });

  it('rejects a buffer above the limit, and says what to do', async () => {
    const gpu = await testGpu();
    const before = gpu.memory();
    expect(() => gpu.pool.allocate(gpu.limits.maxBufferSize + 4, 'the logits')).to.throw(
      GpuValidationError,
      /the logits needs a buffer of \d+ bytes, more than this device's maxBufferSize of \d+\. Lower the batch size/,
    );
    expect(gpu.memory()).to.deep.equal(before);
  });

  it("enforces the user's cap", async () => {
    const gpu = await freshGpu({ memoryCap: 1000 });
    gpu.pool.allocate(512, 'a');
    expect(() => gpu.pool.allocate(512, 'b')).to.throw(MemoryCapError, 'more than the cap of 1000 B');
    gpu.dispose();
  });

  it('reports its loss to every waiting call', async () => {
    const gpu = await freshGpu();
    const y = gpu.pool.allocate(16, 'y');
    gpu.device.destroy();
    expect(await gpu.lost).to.be.instanceOf(DeviceLostError);
    const error = await failure(() => gpu.read(y));
    expect(error).to.be.instanceOf(DeviceLostError);
    expect(error.message).to.include('resume from the last checkpoint');
    gpu.dispose();
  });

  it('reports the loss to a read that the loss aborts', async () => {
    const gpu = await freshGpu();
    const y = gpu.pool.allocate(16, 'y');
    const reading = failure(() => gpu.read(y));
    gpu.device.destroy();
    expect(await reading).to.be.instanceOf(DeviceLostError);
    gpu.dispose();
  });

  it('is not lost when it is disposed of', async () => {
    const gpu = await freshGpu();
    const lost = gpu.lost.then(() => 'lost');
    gpu.dispose();
    const waited = new Promise((resolve) => setTimeout(() => resolve('quiet'), 50));
    expect(await Promise.race([lost, waited])).to.equal('quiet');
  });

  it('counts the needs of a run on a copy, without running anything', async () => {
    const gpu = await freshGpu();
    const work = (device: Gpu) => {
      const held = device.upload(new Float32Array(5000), 'held');
      const passing = device.pool.allocate(3000, 'passing');
      fill(device, { y: held }, { count: 10, a: 1, b: 0 });
      device.pool.release(passing);
      fill(device, { y: device.pool.allocate(2900, 'more') }, { count: 10, a: 1, b: 0 }, { OFFSET: 1 });
      return device.memory();
    };
    const plan = gpu.countingCopy();
    const planned = work(plan);
    expect(gpu.memory()).to.deep.equal({ live: 0, peak: 0, reserved: 0, created: 0 });
    expect(gpu.recorder.report).to.deep.equal({ dispatches: 0, submits: 0, bindGroups: 0 });
    expect(plan.wantedPipelines.map(({ entry, constants }) => [entry, constants])).to.deep.equal([
      ['fill', {}],
      ['fill', { OFFSET: 1 }],
    ]);
    await gpu.compile(plan.wantedPipelines);
    expect(work(gpu)).to.deep.equal(planned);
    // A wrong call is refused there as on the device.
    expect(() => fill(plan, {}, { count: 1, a: 1, b: 1 })).to.throw('buffer y is missing');
    await gpu.recorder.finish();
    gpu.dispose();
  });
});
