/**
 * What reads models from elsewhere, and where a page keeps them. `sources.ts` loads it when a model is named by an address or as a
 * repository: a page that reads its own files does without.
 */
export { fetchFiles } from './http-files.ts';
export { memoryHubCache } from './hub/cache.ts';
export { hubFiles } from './hub/client.ts';
export { opfsAddressCache, opfsHubCache } from './hub/opfs-cache.ts';
