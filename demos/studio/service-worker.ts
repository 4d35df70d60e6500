/**
 * Serves the studio's own files from this browser, so that later visits need no network. Knows them by a list that the build
 * writes; everything else passes it by. It keeps one version whole: a new one waits until no tab shows the old one.
 */

/** Addresses relative to the page's folder, and a hash of all their contents. Both are written by `offline.mjs`. */
declare const FILES: readonly string[];
declare const VERSION: string;

/** What the DOM's types lack of a service worker. */
interface Extendable extends Event {
  waitUntil(work: Promise<unknown>): void;
}
interface Fetched extends Extendable {
  request: Request;
  respondWith(response: Promise<Response>): void;
}

const PREFIX = 'webalign-studio ';
const CACHE = PREFIX + VERSION;
/** The page, which has two addresses. */
const PAGE = new URL('./', location.href).href;
const INDEX = new URL('index.html', location.href).href;
const addresses = new Set(FILES.map((file) => new URL(file, location.href).href));

addEventListener('install', (event) => (event as Extendable).waitUntil(keepFiles()));
addEventListener('activate', (event) => (event as Extendable).waitUntil(dropOthers()));
addEventListener('fetch', (event) => {
  const { request, respondWith } = event as Fetched;
  const address = addressOf(request.url);
  if (request.method === 'GET' && addresses.has(address)) respondWith.call(event, answer(request, address));
});

/** Without what the page alone reads. */
function addressOf(url: string): string {
  const { origin, pathname } = new URL(url);
  const address = origin + pathname;
  return address === INDEX ? PAGE : address;
}

/** All or nothing: a file that cannot be had leaves the version before in its place. */
async function keepFiles(): Promise<void> {
  const cache = await caches.open(CACHE);
  // Asks the server whether a copy that the browser has is still the current one.
  await cache.addAll([...addresses].map((address) => new Request(address, { cache: 'no-cache' })));
}

async function dropOthers(): Promise<void> {
  const names = await caches.keys();
  const old = names.filter((name) => name.startsWith(PREFIX) && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
}

/** The browser may have removed what was kept; the server has it then. */
async function answer(request: Request, address: string): Promise<Response> {
  const cache = await caches.open(CACHE);
  return (await cache.match(address)) ?? fetch(request);
}
