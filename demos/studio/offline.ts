/** Keeps the page itself in this browser, by its service worker, so that later visits need no network. */

/** Whether later visits will need no network, in a sentence. */
export async function keepPage(): Promise<string> {
  try {
    await navigator.serviceWorker.register('service-worker.js');
    await navigator.serviceWorker.ready;
    return 'The page and the storyteller are kept too: later visits need no network.';
  } catch {
    return 'This browser does not keep the page itself: later visits need the network.';
  }
}
