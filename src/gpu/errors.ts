/**
 * What can go wrong on a device, one class each, so that a caller can tell them apart: the adapter is missing, the
 * shader does not compile, the call was wrong, memory ran out, the user's cap was reached, or the device is gone.
 * Nothing here retries or hides an error.
 */

/** Base of every error that the GPU floor throws. */
export class GpuError extends Error {
  override name = 'GpuError';
}

/** No adapter could be had; the message says which ways were tried. */
export class NoAdapterError extends GpuError {
  override name = 'NoAdapterError';
}

/** A shader that does not compile; the message shows `file:line:col` for each finding, beside its source line. */
export class ShaderError extends GpuError {
  override name = 'ShaderError';
}

/** A wrong call: a missing buffer, an unknown parameter, a size over a limit, or what the device itself refused. */
export class GpuValidationError extends GpuError {
  override name = 'GpuValidationError';
}

/** The device refused an allocation. */
export class OutOfMemoryError extends GpuError {
  override name = 'OutOfMemoryError';
}

/** An allocation would pass the cap that the user set. */
export class MemoryCapError extends GpuError {
  override name = 'MemoryCapError';
  constructor(
    /** Bytes that would be reserved after the allocation. */
    readonly needed: number,
    /** The cap, bytes. */
    readonly cap: number,
    what: string,
    wayOut = 'Lower the batch size, the maximum length or the LoRA rank, or raise the memory cap',
  ) {
    super(
      `${what} needs ${formatBytes(needed)} of GPU memory, over the cap of ${formatBytes(cap)}. ${wayOut}.`,
    );
  }
}

/** The device is gone (driver reset, tab in the background, out of memory). Make a new one and resume. */
export class DeviceLostError extends GpuError {
  override name = 'DeviceLostError';
}

/** Bytes for a person: `1.5 MiB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
