import { expect } from 'chai';
import { atOnce, inSlices, mapSliced, type Progress, SLICE_MS, type Sliced } from '../../src/base/slices.ts';

function* counting(total: number): Sliced<number> {
  for (let done = 1; done <= total; done++) yield { done, total };
  return total;
}

describe('base/slices', () => {
  it('gives the same result at once and in slices, and reports progress', async () => {
    const told: Progress[] = [];
    expect(atOnce(counting(3))).to.equal(3);
    expect(await inSlices(counting(3), { onProgress: (progress) => told.push(progress) })).to.equal(3);
    expect(told.map(({ done }) => done)).to.deep.equal([1, 2, 3]);
  });

  it('leaves the event loop free between slices', async () => {
    let heard = 0;
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => heard++;
    for (let i = 0; i < 3; i++) port2.postMessage(i);
    const heardWhen: number[] = [];
    await inSlices(counting(8), { onProgress: () => heardWhen.push(heard) });
    port1.close();
    expect(heardWhen[0]).to.equal(0);
    expect(heardWhen.at(-1)).to.be.above(0);
  });

  it('stops at a signal with its reason, before the next slice', async () => {
    const stop = new AbortController();
    let most = 0;
    const onProgress = ({ done }: Progress) => {
      most = done;
      if (done === 2) stop.abort(new Error('enough'));
    };
    const error = await inSlices(counting(5), { signal: stop.signal, onProgress }).catch((e: Error) => e);
    expect(error).to.have.property('message', 'enough');
    expect(most).to.equal(2);
  });

  it('makes slow work a slice of its own', () => {
    const slow = (value: number) => {
      const end = performance.now() + SLICE_MS;
      while (performance.now() < end);
      return 2 * value;
    };
    const work = mapSliced([1, 2, 3], slow);
    expect(work.next().value).to.deep.equal({ done: 1, total: 3 });
    expect(atOnce(work)).to.deep.equal([2, 4, 6]);
    expect(atOnce(mapSliced([], slow))).to.deep.equal([]);
  });
});
