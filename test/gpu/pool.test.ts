/** The buffer pool alone: what is reused, what is counted, and what the cap refuses. */
import { expect } from 'chai';
import { MemoryCapError } from '../../src/gpu/errors.ts';
import { BufferPool } from '../../src/gpu/pool.ts';

function makePool(cap?: number) {
  const destroyed: string[] = [];
  let flushed = 0;
  const create = (size: number, label: string) =>
    ({ size, label, destroy: () => destroyed.push(label) }) as unknown as GPUBuffer;
  const pool = new BufferPool(
    create,
    () => {
      flushed++;
    },
    { cap },
  );
  return { pool, destroyed, flushes: () => flushed };
}

describe('the buffer pool', () => {
  it('reuses a released buffer for a request of its size', () => {
    const { pool } = makePool();
    const a = pool.allocate(1000, 'a');
    pool.release(a);
    const b = pool.allocate(1001, 'b');
    expect(b.buffer).to.equal(a.buffer);
    expect(pool.allocate(1000, 'c').buffer).not.to.equal(a.buffer);
    expect(pool.report().created).to.equal(2);
  });

  it('rejects a buffer that was already released, by name', () => {
    const { pool } = makePool();
    const a = pool.allocate(1000, 'weights of a layer');
    pool.release(a);
    expect(() => pool.release(a)).to.throw('"weights of a layer" was released before');
    expect(pool.report().live).to.equal(0);
    expect(pool.allocate(1000, 'b').buffer).to.equal(a.buffer);
    expect(pool.allocate(1000, 'c').buffer).not.to.equal(a.buffer);
  });

  it('reuses the smallest free buffer that fits, if it is less than twice as large', () => {
    const { pool } = makePool();
    const [large, middle, small] = [2048, 1024, 512].map((size) => pool.allocate(size, `${size}`));
    for (const view of [large, middle, small]) pool.release(view);
    expect(pool.allocate(700, 'x').buffer).to.equal(middle.buffer);
    expect(pool.report().live).to.equal(1024);
    expect(pool.allocate(700, 'y').buffer).not.to.equal(large.buffer);
    expect(pool.allocate(1024, 'z').buffer).to.equal(large.buffer);
    expect(pool.allocate(512, 'w').buffer).to.equal(small.buffer);
    expect(pool.report().created).to.equal(4);
  });

  it('gives long-lived requests no larger buffer, if asked', () => {
    const { pool } = makePool();
    const large = pool.allocate(2048, 'large');
    pool.release(large);
    expect(pool.allocate(1024, 'small', { spare: 1 }).buffer).not.to.equal(large.buffer);
    expect(pool.allocate(2048, 'large again', { spare: 1 }).buffer).to.equal(large.buffer);
  });

  it('returns buffers in the same order in every step', () => {
    const { pool } = makePool();
    const step = () => {
      const views = ['a', 'b', 'c'].map((label) => pool.allocate(512, label));
      const later = views[1];
      pool.release(views[2]);
      pool.release(views[0]);
      const again = pool.allocate(512, 'd');
      pool.release(later);
      pool.release(again);
      return [...views, again].map(({ buffer }) => buffer);
    };
    const first = step();
    step().forEach((buffer, i) => {
      expect(buffer).to.equal(first[i]);
    });
  });

  it('counts live, reserved and peak bytes', () => {
    const { pool, destroyed, flushes } = makePool();
    const a = pool.allocate(256, 'a');
    const b = pool.allocate(256, 'b');
    expect(pool.report()).to.deep.equal({ live: 512, peak: 512, reserved: 512, created: 2 });
    pool.release(a);
    pool.release(b);
    expect(pool.report()).to.deep.equal({ live: 0, peak: 512, reserved: 512, created: 2 });
    pool.trim();
    expect(pool.report()).to.deep.equal({ live: 0, peak: 512, reserved: 0, created: 2 });
    expect(destroyed).to.have.members(['a', 'b']);
    expect(flushes()).to.equal(1);
    pool.resetPeak();
    expect(pool.report().peak).to.equal(0);
  });

  it('returns a view of the requested bytes, rounded up to whole words', () => {
    const { pool } = makePool();
    expect(pool.allocate(5, 'a')).to.include({ offset: 0, size: 8 });
    expect(pool.allocate(0, 'b')).to.include({ offset: 0, size: 4 });
  });

  it('wastes at most a sixteenth of a large buffer', () => {
    for (let size = 4097; size < 3e6; size = Math.ceil(size * 1.37)) {
      const { buffer } = makePool().pool.allocate(size, 'large');
      expect(buffer.size).to.be.within(size, (1 + 1 / 16) * size + 256);
      expect(buffer.size % 256).to.equal(0);
    }
  });

  it('destroys free buffers before it throws, and then says what to do', () => {
    const { pool, destroyed } = makePool(1024);
    pool.release(pool.allocate(512, 'early'));
    const late = pool.allocate(1024, 'late');
    expect(destroyed).to.deep.equal(['early']);
    expect(() => pool.allocate(256, 'too much')).to.throw(
      MemoryCapError,
      'too much needs 1.3 KiB of GPU memory, more than the cap of 1.0 KiB. Lower the batch size',
    );
    pool.release(late);
    expect(pool.allocate(256, 'fits').size).to.equal(256);
  });

  it('destroys small buffers for a large one at the budget, and never throws because of it', () => {
    const { pool, destroyed } = makePool();
    pool.budget = 3584;
    for (const view of [2048, 1024].map((size) => pool.allocate(size, `${size}`))) pool.release(view);
    pool.allocate(2304, 'larger');
    expect(destroyed).to.deep.equal(['2048']);
    expect(pool.report().reserved).to.equal(3328);
    pool.allocate(2304, 'more than there is');
    expect(destroyed).to.deep.equal(['2048', '1024']);
    expect(pool.report().reserved).to.equal(4608);
  });

  it('creates buffers in advance for requests of their size and smaller', () => {
    const { pool } = makePool();
    pool.reserve([2048, 512].map((size) => ({ label: `${size}`, size, kind: 'batch' as const })));
    expect(pool.report()).to.deep.equal({ live: 0, peak: 2560, reserved: 2560, created: 2 });
    pool.allocate(1500, 'a');
    pool.allocate(300, 'b');
    expect(pool.report().created).to.equal(2);
    expect(pool.buffers().map(({ kind }) => kind)).to.deep.equal(['batch', 'batch']);
  });

  it('stores the kind of a buffer, by default activations', () => {
    const { pool } = makePool();
    pool.release(pool.allocate(512, 'ids', { kind: 'batch' }));
    pool.allocate(512, 'product');
    pool.allocate(256, 'sums');
    expect(pool.buffers()).to.deep.equal([
      { label: 'ids', size: 512, kind: 'batch' },
      { label: 'sums', size: 256, kind: 'activations' },
    ]);
  });
});
