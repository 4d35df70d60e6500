/**
 * An installed Firefox, headless. No driver is needed: the page gets its task by its address and posts each event, because the suite
 * asks nothing of a browser but to open a page.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { serve } from '../../../src/node/serve.ts';
import { findFirefox, openFirefox } from '../../support/firefox.ts';
import type { HarnessOptions, TestEvent } from '../harness.ts';
import type { Report } from '../report.ts';
import { SERVED, STANDSTILL } from './pages.ts';
import { vulkanEnvironment } from './vulkan.ts';
import { MissingWorldError, type World } from './world.ts';

/** What the page reads from its address. */
export interface PageTask {
  files: readonly string[];
  options: HarnessOptions;
  /** Where it posts its events. */
  events: string;
}

export type PageMessage = TestEvent | 'begun' | 'done' | 'no adapter';

/** Milliseconds in which the page reports, else Firefox does not start here. */
const START = 90_000;

const SETTINGS = {
  // Software adapters are on its list of what it does not offer pages.
  'gfx.webgpu.ignore-blocklist': true,
  'dom.max_script_run_time': 0,
};

export const firefox: World = {
  isWhole: false,
  async missing() {
    return findFirefox() ? undefined : 'no Firefox in PATH; WEBALIGN_FIREFOX names one';
  },
  async run(files, report, options) {
    const pages = await serve({ ...SERVED, '/page/': 'test/run/worlds' });
    const inbox = await hear(report);
    const task = JSON.stringify({ files, options, events: inbox.url } satisfies PageTask);
    const browser = await openFirefox(
      findFirefox() ?? 'firefox',
      [`${pages.url}/page/firefox.html#${encodeURIComponent(task)}`],
      { settings: SETTINGS, env: await vulkanEnvironment() },
    );
    try {
      await inbox.done;
    } finally {
      await browser.close();
      await pages.close();
      inbox.close();
    }
  },
};

/** Takes in what the page posts, from another origin than the page's. */
async function hear(report: Report) {
  let end: () => void = () => {};
  let fail: (error: Error) => void = () => {};
  const done = new Promise<void>((resolve, reject) => {
    end = resolve;
    fail = reject;
  });
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const part of request.setEncoding('utf8')) body += part;
    response.writeHead(204, { 'access-control-allow-origin': '*' }).end();
    const message = JSON.parse(body) as PageMessage;
    clearTimeout(start);
    if (message === 'begun') return;
    if (message === 'done') end();
    else if (message === 'no adapter') fail(new MissingWorldError('Firefox has no adapter here'));
    else report.add(message);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const start = setTimeout(() => fail(new MissingWorldError('Firefox does not start here')), START);
  const watch = setInterval(() => {
    if (Date.now() - report.lastEvent > STANDSTILL) fail(new Error('The page stands still.'));
  }, 1000);
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    done,
    close() {
      clearTimeout(start);
      clearInterval(watch);
      server.close();
    },
  };
}
