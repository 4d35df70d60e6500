/** The ways that a script has to another origin. */

/** Results when all are refused. */
export const REFUSED = {
  fetch: 'refused',
  'fetch without CORS': 'refused',
  import: 'refused',
  EventSource: 'refused',
  WebSocket: 'refused',
  XMLHttpRequest: 'refused',
};

/** Tries all ways to reach `other`. Its source is evaluated in a page or a worker, so it refers to nothing outside. */
export async function reach(other: string): Promise<Record<string, string>> {
  const refused = (name: string) => (work: Promise<unknown>) =>
    work.then(
      () => [name, 'reached'],
      () => [name, 'refused'],
    );
  const socket = (Kind: typeof WebSocket | typeof EventSource, url: string) =>
    new Promise((resolve, reject) => {
      try {
        const made = new Kind(url);
        made.onopen = resolve;
        made.onerror = reject;
      } catch (error) {
        reject(error);
      }
    });
  const ask = () =>
    new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.onload = resolve;
      request.onerror = reject;
      request.open('GET', `${other}/xhr`);
      request.send();
    });
  return Object.fromEntries(
    await Promise.all([
      refused('fetch')(fetch(`${other}/fetch`)),
      refused('fetch without CORS')(fetch(`${other}/no-cors`, { mode: 'no-cors' })),
      refused('import')(import(/* @vite-ignore */ `${other}/script.js`)),
      refused('EventSource')(socket(EventSource, `${other}/events`)),
      refused('WebSocket')(socket(WebSocket, `${other.replace('http', 'ws')}/socket`)),
      refused('XMLHttpRequest')(ask()),
    ]),
  );
}
