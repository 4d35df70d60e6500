/**
 * Watches every device created by pages of a browser context, from their start, and restricts their adapters. Playwright
 * copies the page's part into each page as text. Devices in workers are not watched.
 */
import type { BrowserContext } from 'playwright';
import { type Capabilities, narrowAdapter } from './narrowed.ts';
import type { Aftermath } from './test-gpu.ts';
import { type Finding, type Watch, watchDevice } from './watch.ts';

interface PageWatch {
  finish(): Promise<Aftermath>;
}

declare global {
  /** Defined in a watched page. */
  var webalignPageWatch: PageWatch | undefined;
}

/** The page's part. It has no outside references. */
function watchPage(
  watch: typeof watchDevice,
  narrow: typeof narrowAdapter,
  capabilities: Capabilities,
): void {
  if (!globalThis.GPU) return;
  const watches: Watch[] = [];
  const { requestAdapter } = GPU.prototype;
  GPU.prototype.requestAdapter = async function (options) {
    const adapter = await requestAdapter.call(this, options);
    if (!adapter) return adapter;
    const narrowed = narrow(adapter, capabilities);
    const requestDevice = narrowed.requestDevice.bind(narrowed);
    const watched = async (descriptor?: GPUDeviceDescriptor) => {
      const device = await requestDevice(descriptor);
      watches.push(watch(device, false));
      return device;
    };
    Object.defineProperty(narrowed, 'requestDevice', { value: watched, configurable: true });
    return narrowed;
  };
  globalThis.webalignPageWatch = {
    async finish() {
      await Promise.all(watches.map((each) => each.settle()));
      return {
        findings: watches.flatMap((each) => each.take()),
        leaks: watches.flatMap((each) => each.takeLeaks()),
      };
    },
  };
}

/**
 * Watches all pages of a context from now on. Returns a function that collects the findings, to be called after the test
 * and before the pages are closed.
 */
export async function watchPages(
  context: BrowserContext,
  capabilities: Capabilities,
): Promise<() => Promise<Aftermath>> {
  const parts = [watchPage, watchDevice, narrowAdapter].map((part) => `(${part.toString()})`);
  const [page, watch, narrow] = parts;
  await context.addInitScript({
    content: `${page}(${watch}, ${narrow}, ${JSON.stringify(capabilities)})`,
  });
  const crashes: Finding[] = [];
  context.on('page', (opened) => {
    opened.on('crash', () => crashes.push({ kind: 'lost', message: 'the page crashed' }));
  });
  return async () => {
    const frames = context.pages().flatMap((each) => each.frames());
    const aftermaths = await Promise.all(
      frames.map((frame) =>
        frame
          .evaluate(() => globalThis.webalignPageWatch?.finish())
          // A page that crashed, or navigated, has already reported its findings.
          .catch(() => undefined),
      ),
    );
    const found = aftermaths.filter((each) => each !== undefined);
    return {
      findings: [...crashes.splice(0), ...found.flatMap(({ findings }) => findings)],
      leaks: found.flatMap(({ leaks }) => leaks),
    };
  };
}
