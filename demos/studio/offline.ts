/** Keeps the page itself in this browser, by its service worker, so that later visits need no network. */

/** Whether later visits will need no network, in a sentence. */
export async function keepPage(): Promise<string> {
  try {
    const { installing } = await navigator.serviceWorker.register('service-worker.js');
    await Promise.race([navigator.serviceWorker.ready, refused(installing)]);
    return 'The page and the storyteller are kept too: later visits need no network.';
  } catch {
    return 'This browser does not keep the page itself: later visits need the network.';
  }
}

/** Rejects where a file could not be had, or found no room. */
function refused(worker: ServiceWorker | null): Promise<never> {
  return new Promise((_, reject) => {
    worker?.addEventListener('statechange', () => {
      if (worker.state === 'redundant') reject(new Error('The service worker was not installed.'));
    });
  });
}
