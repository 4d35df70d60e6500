/**
 * `webalign/files`: model files from any source (the Hub, a URL, a folder, memory), safetensors and GGUF, and stores for
 * checkpoints and reference log-probabilities. Input files are untrusted: {@link InputError} names the file and what to do.
 *
 * @module webalign/files
 */
export { type ByteSource, blobSource, byteSource, memorySource } from './io/byte-source.ts';
export { type CheckpointStore, memoryCheckpointStore } from './io/checkpoint.ts';
export { InputError, listed, quote, reason } from './io/errors.ts';
export { parseExactJson } from './io/exact-json.ts';
export { blobFiles, type Files, memoryFiles } from './io/files.ts';
export { ggufFiles } from './io/gguf/files.ts';
export { contentHash } from './io/hash.ts';
export type { FetchOptions, FetchProgress, HttpOptions } from './io/http.ts';
export type { FetchFilesOptions } from './io/http-file.ts';
export { fetchFiles } from './io/http-files.ts';
export { CacheWriteError, type HubCache, memoryHubCache } from './io/hub/cache.ts';
export { DamagedDownloadError } from './io/hub/download.ts';
export { clearPageCache, opfsHubCache } from './io/hub/opfs-cache.ts';
export { hubEndpoint, type RepositoryName, repositoryNamed, repositoryOfPage } from './io/hub/repository.ts';
export { isObject, type Json, type JsonObject, kindOf, parseJsonObject } from './io/json.ts';
export {
  type IndexedDbOptions,
  indexedDbCheckpointStore,
  opfsCheckpointStore,
  type PageCheckpointStore,
} from './io/page-stores.ts';
export { memoryReferenceCache, type ReferenceCache, storedReferenceCache } from './io/reference-cache.ts';
export { openSafetensors, parseSafetensors, type TensorSource, writeSafetensors } from './io/safetensors.ts';
export { isSingleFile, openSingleFile } from './io/single-file.ts';
export { openSource, type Source, type SourceOptions } from './io/sources.ts';
