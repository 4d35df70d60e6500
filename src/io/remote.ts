/**
 * The modules for remote models and a page's storage of them. `sources.ts` loads them for a URL or a repository; a page
 * that reads local files does not need them.
 */
export { fetchFiles } from './http-files.ts';
export { memoryHubCache } from './hub/cache.ts';
export { hubFiles } from './hub/client.ts';
export { opfsAddressCache, opfsHubCache } from './hub/opfs-cache.ts';
