/** What the worlds of browsers share. */

/** A page that says nothing for this long hangs: even a test with a long timeout of its own ends before. */
export const STANDSTILL = 900_000;

/** What a page of tests loads, by address. */
export const SERVED = {
  '/': 'dist/test/chromium',
  '/fixtures/': 'test/fixtures',
  '/embedded/': 'demos/align/model',
  '/shared/': '../shared',
  '/mocha/': 'node_modules/mocha',
};
