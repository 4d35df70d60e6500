/** What makes Firefox look for finished work. */
import { expect } from 'chai';
import { soon } from '../../src/gpu/nudge.ts';

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0';
const CHROMIUM =
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/147.0.0.0 Safari/537.36';

/** A queue that finishes work only when something is submitted after it, and only at the third time. */
function sleepyQueue() {
  let submits = 0;
  let finish: () => void = () => {};
  const work = new Promise<string>((resolve) => {
    finish = () => resolve('done');
  });
  const submit = () => {
    submits++;
    if (submits === 3) finish();
    return undefined;
  };
  return { queue: { submit }, work, submits: () => submits };
}

const pause = () => new Promise((resolve) => setTimeout(resolve, 30));

describe('gpu/nudge', () => {
  it('submits until the answer arrives, and then stops', async () => {
    const { queue, work, submits } = sleepyQueue();
    const wait = soon(queue, FIREFOX);
    expect(submits(), 'before anything is awaited').to.equal(0);
    expect(await wait(work)).to.equal('done');
    await pause();
    expect(submits()).to.equal(3);
  });

  it('continues while any of several answers is awaited, including failed ones', async () => {
    const { queue, work, submits } = sleepyQueue();
    const wait = soon(queue, FIREFOX);
    const failed = wait(Promise.reject(new Error('lost'))).catch((error: Error) => error.message);
    await Promise.all([wait(work), failed]);
    expect(await failed).to.equal('lost');
    await pause();
    const before = submits();
    await wait(Promise.resolve());
    await pause();
    expect(submits() - before, 'a later wait').to.be.within(1, 2);
  });

  it('does nothing in other engines', async () => {
    for (const engine of [CHROMIUM, 'Node.js/20', 'Deno/2.9.6', undefined]) {
      const { queue, submits } = sleepyQueue();
      const answer = Promise.resolve(1);
      expect(soon(queue, engine)(answer), engine).to.equal(answer);
      await answer;
      expect(submits(), engine).to.equal(0);
    }
  });
});
