/**
 * The part of a bench in Chromium that runs in the page: it runs the requested suite and sends each event to the command in
 * Node, which installed `emitBenchEvent` in the page.
 */
import { CASES } from './cases/all.ts';
import { loadPeers } from './peers.ts';
import { type BenchEvent, refusal, runSuite, type SuiteOptions } from './suite.ts';
import { installWatch } from './watch.ts';

interface PageOptions extends Pick<SuiteOptions, 'only' | 'quick' | 'variants'> {
  peers: readonly string[];
}

declare global {
  function emitBenchEvent(event: BenchEvent): Promise<void>;
  /** Resolves to why it refuses, where it does. */
  function benchInPage(options: PageOptions): Promise<string | undefined>;
}

globalThis.benchInPage = async ({ peers: names, ...options }) => {
  installWatch();
  const peers = await loadPeers(names, (name) => new URL(`/peers/${name}.js`, location.href).href);
  try {
    for await (const event of runSuite(navigator.gpu, CASES, peers, options)) await emitBenchEvent(event);
    return undefined;
  } catch (error) {
    const reason = refusal(error);
    if (reason === undefined) throw error;
    return reason;
  }
};
