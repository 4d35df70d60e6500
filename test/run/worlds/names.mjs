/** The names of the worlds, in the order of a whole run; `worlds.ts` has a row for each. */
export const WORLD_NAMES = /** @type {const} */ (['node', 'chromium', 'deno', 'firefox', 'lavapipe']);
