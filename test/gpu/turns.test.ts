/** Turns on one device: first come, first served, even if the previous work failed. */
import { expect } from 'chai';
import { Turns } from '../../src/gpu/turns.ts';

const pause = () => new Promise((resolve) => setTimeout(resolve, 1));

describe('gpu/turns', () => {
  it('runs pieces one after the other, in order of request, also after failures', async () => {
    const turns = new Turns();
    const heard: string[] = [];
    const work = (name: string, fails = false) =>
      turns.run(async () => {
        heard.push(`${name} begins`);
        await pause();
        heard.push(`${name} ends`);
        if (fails) throw new Error(name);
      });
    const failing = work('first', true);
    const second = work('second');
    await failing.then(
      () => expect.fail('it should fail'),
      (error: Error) => expect(error.message).to.equal('first'),
    );
    await second;
    expect(heard).to.deep.equal(['first begins', 'first ends', 'second begins', 'second ends']);
  });

  it('runs others between the values of a generator, and closes it when its reader stops', async () => {
    const turns = new Turns();
    const heard: string[] = [];
    let closed = false;
    async function* numbers() {
      try {
        for (let i = 0; ; i++) {
          heard.push(`number ${i}`);
          yield i;
        }
      } finally {
        closed = true;
      }
    }
    const around = async <T>(work: () => Promise<T>) => {
      heard.push('in');
      try {
        return await work();
      } finally {
        heard.push('out');
      }
    };
    for await (const value of turns.each(numbers(), around)) {
      if (value === 0) void turns.run(async () => void heard.push('other'));
      if (value === 1) break;
    }
    expect(closed).to.equal(true);
    expect(heard).to.deep.equal(['in', 'number 0', 'out', 'other', 'in', 'number 1', 'out', 'in', 'out']);
  });
});
