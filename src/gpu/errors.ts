/**
 * Errors of a device, one class each, so that callers can distinguish them: no adapter, a shader that does not compile, an
 * invalid call, out of memory, the user's cap is reached, or the device is lost. Nothing here retries or hides an error.
 */

/** Base class of every error thrown by `src/gpu`. */
export class GpuError extends Error {
  override name = 'GpuError';
}

/** No adapter is available; the message lists what was tried. */
export class NoAdapterError extends GpuError {
  override name = 'NoAdapterError';
}

/** A shader that does not compile; the message shows `file:line:col` and the source line of each error. */
export class ShaderError extends GpuError {
  override name = 'ShaderError';
}

/** An invalid call: a missing buffer, an unknown parameter, a size above a limit, or a validation error of the device. */
export class GpuValidationError extends GpuError {
  override name = 'GpuValidationError';
}

/** The device failed to allocate memory. */
export class OutOfMemoryError extends GpuError {
  override name = 'OutOfMemoryError';
}

/** An allocation would exceed the user's cap. */
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
      `${what} needs ${formatBytes(needed)} of GPU memory, more than the cap of ${formatBytes(cap)}. ${wayOut}.`,
    );
  }
}

/** The device is lost (driver reset, tab in the background, out of memory). Request a new one and resume. */
export class DeviceLostError extends GpuError {
  override name = 'DeviceLostError';
}

/** Formats bytes: `1.5 MiB`. */
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
