/**
 * `webalign/node`: additions to `webalign` for programs in Node: a GPU, or SwiftShader if there is none, models from disk
 * and from Hugging Face's cache, and folders for adapters, checkpoints and caches.
 *
 * @module webalign/node
 */
import { Gpu } from './gpu/device.ts';
import type { RequestOptions } from './gpu/request.ts';
import { requestNodeGpu } from './node/adapter.ts';
import { nodeTuning } from './node/tuning.ts';

export { type NodeGpu, requestNodeGpu } from './node/adapter.ts';
export { type DeadlineOptions, guardStrangers } from './node/deadline.ts';
export {
  fileCheckpointStore,
  folderFiles,
  nodeReferenceCache,
  readFileIfAny,
  writeFileAtomic,
  writeFiles,
} from './node/folder.ts';
export { type FolderLock, lockFolder } from './node/folder-lock.ts';
export { nodeHubCache } from './node/hub-cache.ts';
export { MissingPackageError } from './node/packages.ts';
export { openSource } from './node/sources.ts';
export { nodeTuning } from './node/tuning.ts';

export interface NodeGpuOptions extends RequestOptions {
  /**
   * Whether to measure kernel variants before training and remember the fastest. Default: on a GPU, but not on a software
   * adapter, where measuring is slow and the best variants are known.
   */
  tune?: boolean | undefined;
}

/**
 * A device of this machine, or your own. Throws `NoAdapterError`, or `MissingPackageError` with the command that installs
 * the missing package. The process ends by itself once nothing is awaited from the device.
 */
export async function requestGpu({ device, onNotice, tune, ...options }: NodeGpuOptions = {}): Promise<Gpu> {
  const tuning = tune === false ? undefined : { ...nodeTuning(), software: tune === true };
  if (device) return Gpu.on(device, { tuning, onNotice, ...options });
  const { gpu, notice } = await requestNodeGpu();
  if (notice) onNotice?.(notice);
  return Gpu.request(gpu, { tuning, onNotice, ...options });
}
