/** The order of recorded work, late readback, the uniform arena, and what a second step must not create again. */
import { expect } from 'chai';
import { kernels } from '../../src/gpu/kernel.ts';
import { freshGpu, testGpu } from '../support/gpu.ts';
import { affine } from '../support/shader.ts';

const { fill } = kernels(affine, { fill: { groups: (p) => p.count } });

describe('the recorder', () => {
  it('keeps writes, kernels, copies, clears and reads in order', async () => {
    const gpu = await testGpu();
    const [y, copy] = [gpu.upload(Float32Array.of(9, 9, 9), 'y'), gpu.pool.allocate(12, 'copy')];
    const reads: Promise<ArrayBuffer>[] = [];
    const look = () => reads.push(gpu.recorder.read(y), gpu.recorder.read(copy));
    gpu.recorder.copy(y, copy);
    look();
    fill(gpu, { y }, { count: 2, a: 1, b: 1 });
    gpu.recorder.copy(y, copy, 8);
    look();
    gpu.recorder.write(y, Float32Array.of(7, 7));
    gpu.recorder.clear(copy);
    look();
    gpu.recorder.flush();
    const seen = await Promise.all(reads);
    expect(seen.map((data) => [...new Float32Array(data)])).to.deep.equal([
      [9, 9, 9],
      [9, 9, 9],
      [1, 2, 9],
      [1, 2, 9],
      [7, 7, 9],
      [0, 0, 0],
    ]);
    for (const view of [y, copy]) gpu.pool.release(view);
  });

  it('gives every kernel its own parameters, even more than the arena holds', async () => {
    const gpu = await testGpu();
    const views = Array.from({ length: 1500 }, (_, i) => gpu.pool.allocate(4, `y ${i}`));
    const result = gpu.pool.allocate(4 * views.length, 'all');
    for (const [i, y] of views.entries()) fill(gpu, { y }, { count: 1, a: 0, b: i });
    for (const [i, y] of views.entries()) gpu.recorder.copy(y, { ...result, offset: 4 * i, size: 4 });
    const values = new Float32Array(await gpu.read(result));
    expect(values.findIndex((value, i) => value !== i)).to.equal(-1);
    for (const view of [...views, result]) gpu.pool.release(view);
  });

  it('creates no bind group and no buffer in a second step', async () => {
    const gpu = await testGpu();
    const step = async () => {
      const [y, z] = ['y', 'z'].map((label) => gpu.pool.allocate(400, label));
      for (const b of [1, 2, 3]) fill(gpu, { y: b === 2 ? z : y }, { count: 100, a: 1, b });
      await gpu.recorder.finish();
      for (const view of [y, z]) gpu.pool.release(view);
      return [gpu.recorder.report.bindGroups, gpu.memory().created];
    };
    const first = await step();
    expect(await step()).to.deep.equal(first);
  });

  it('does not submit for a read, and submits many kernels at once', async () => {
    const gpu = await freshGpu();
    const y = gpu.pool.allocate(40, 'y');
    const before = gpu.recorder.report.submits;
    const late = gpu.recorder.read(y);
    for (let i = 0; i < 20; i++) fill(gpu, { y }, { count: 10, a: 1, b: i });
    const last = gpu.recorder.read(y);
    expect(gpu.recorder.report.submits).to.equal(before);
    await gpu.recorder.finish();
    expect(gpu.recorder.report.submits).to.equal(before + 1);
    expect(new Float32Array(await last)[0]).to.equal(19);
    await late;
    gpu.dispose();
  });

  it('waits if the host runs too far ahead', async () => {
    const gpu = await testGpu();
    const y = gpu.pool.allocate(40, 'y');
    for (let i = 0; i < 12; i++) {
      fill(gpu, { y }, { count: 10, a: 1, b: i });
      await gpu.recorder.throttle();
    }
    expect(new Float32Array(await gpu.read(y))[9]).to.equal(20);
    gpu.pool.release(y);
  });

  it('refuses more data than a view holds', async () => {
    const gpu = await testGpu();
    const y = gpu.pool.allocate(8, 'y');
    expect(() => gpu.recorder.write(y, new Float32Array(3))).to.throw('12 bytes written to a view of 8');
    gpu.pool.release(y);
  });

  it('rejects reads that can no longer complete', async () => {
    const gpu = await freshGpu();
    const pending = gpu.recorder.read(gpu.pool.allocate(4, 'y'));
    gpu.dispose();
    const failure = await pending.then(
      () => undefined,
      (error: Error) => error.message,
    );
    expect(failure).to.match(/^The GPU device was disposed before this work had finished/);
  });
});
