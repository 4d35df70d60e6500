/**
 * The worker: the suite of `npm run bench` without the peers, whose libraries would be larger than the rest of the page.
 */
import { expose } from 'comlink';
import { requestGpu } from 'webalign';
import { type Book, noted } from '../../test/bench/book.ts';
import { CASES } from '../../test/bench/cases/all.ts';
import { runSuite } from '../../test/bench/suite.ts';
import { installWatch } from '../../test/bench/watch.ts';
import type { BenchWorker, Group } from './messages.ts';

let stopping = new AbortController();

const worker: BenchWorker = {
  async open() {
    installWatch();
    const gpu = await requestGpu();
    const { adapter } = gpu;
    gpu.dispose();
    const groups = new Map<string, Group>();
    for (const { group, quick } of CASES) {
      const known = groups.get(group) ?? { name: group, cases: 0, quick: 0 };
      groups.set(group, { ...known, cases: known.cases + 1, quick: known.quick + (quick ? 1 : 0) });
    }
    return { adapter, groups: [...groups.values()] };
  },

  async run({ groups, quick }, listener) {
    stopping = new AbortController();
    const { signal } = stopping;
    const chosen = CASES.filter(({ group }) => groups.includes(group));
    let book: Book | undefined;
    try {
      for await (const event of runSuite(navigator.gpu, chosen, [], { only: [], quick, signal, facts: [] })) {
        book = noted(book, event, navigator.userAgent, new Date().toISOString().slice(0, 10));
        await listener(event, book);
        signal.throwIfAborted();
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  },

  stop: () => stopping.abort(),
};

expose(worker);
