/** Parameters as views of four long buffers: where each is, what a checkpoint reads and writes, and what is refused. */
import { expect } from 'chai';
import { ParameterStore, SLABS } from '../../src/tensor/parameters.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { freshGpu, testGpu } from '../support/gpu.ts';

const counted = (length: number, first: number) => Float32Array.from({ length }, (_, i) => first + i);
const specs = () => [
  { name: 'weight', shape: [5, 20], values: counted(100, 1) },
  { name: 'norm', shape: [7], values: counted(7, 1000), decays: false },
  { name: 'small', shape: [1], values: counted(1, 2000) },
];

describe('the parameter store', () => {
  it('contains values where they are bound, and zeros elsewhere', async () => {
    const gpu = await testGpu();
    const store = new ParameterStore(gpu, specs());
    expect(store.count).to.equal(108);
    for (const { name, shape, values } of specs()) {
      const tensor = store.get(name);
      expect([tensor.shape, tensor.requiresGrad, tensor.isParameter]).to.deep.equal([shape, true, true]);
      expect(await tensor.toArray(gpu)).to.deep.equal(values);
      expect(tensor.offset % 256).to.equal(0);
      expect(tensor.grad?.offset).to.equal(tensor.offset);
    }
    for (const slab of SLABS) {
      const all = new Float32Array(await gpu.read(store.slab(slab)));
      const expected = slab === 'values' ? 5050 + 7021 + 2000 : 0;
      expect(all.reduce((a, b) => a + b, 0)).to.equal(expected);
      expect(all.length).to.equal(store.length);
    }
    store.dispose();
  });

  it('stores decayed parameters contiguously', async () => {
    const store = new ParameterStore(await testGpu(), specs());
    expect(store.sections).to.deep.equal([
      { decays: true, offset: 0, size: 768 },
      { decays: false, offset: 768, size: 256 },
    ]);
    expect(store.get('small').offset).to.equal(512);
    store.dispose();
  });

  it('reads and writes a slab by name', async () => {
    const gpu = await testGpu();
    const store = new ParameterStore(gpu, specs());
    const moments = new Map(specs().map(({ name, values }) => [name, values.map((value) => -value)]));
    store.write('secondMoments', moments);
    expect(await store.read('secondMoments')).to.deep.equal(
      new Map(['weight', 'small', 'norm'].map((name) => [name, moments.get(name)])),
    );
    expect((await store.read('firstMoments')).get('weight')).to.deep.equal(new Float32Array(100));
    store.dispose();
  });

  it('rejects a slab with a missing parameter or one of another size', async () => {
    const store = new ParameterStore(await testGpu(), specs());
    const values = new Map(specs().map((spec) => [spec.name, spec.values]));
    values.set('norm', new Float32Array(6));
    expect(() => store.write('values', values)).to.throw('parameter norm needs 7 values, got 6');
    values.delete('norm');
    expect(() => store.write('values', values)).to.throw('parameter norm needs 7 values, got 0');
    expect(() => store.get('bias')).to.throw('unknown parameter bias');
    store.dispose();
  });

  it('frees its bytes', async () => {
    const gpu = await freshGpu();
    const store = new ParameterStore(gpu, specs());
    expect(gpu.memory().live).to.equal(4 * 1024);
    store.dispose();
    expect(gpu.memory().live).to.equal(0);
    gpu.dispose();
  });
});

describe('a tensor', () => {
  it('returns its size in rows and columns', async () => {
    const gpu = await testGpu();
    const tensor = Tensor.from(gpu, new Uint32Array(24), [2, 3, 4], 'ids');
    expect([tensor.rows, tensor.cols, tensor.length, tensor.dtype]).to.deep.equal([6, 4, 24, 'u32']);
    expect(`${tensor}`).to.equal('ids (2, 3, 4) u32');
    gpu.pool.release(tensor);
  });

  it('rejects data that does not match its shape', async () => {
    const gpu = await testGpu();
    expect(() => Tensor.from(gpu, new Float32Array(5), [2, 3], 'hidden')).to.throw(
      'hidden: 5 values do not match the shape (2, 3)',
    );
  });
});
