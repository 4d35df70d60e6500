/**
 * WebGPU's flags by name. Browsers have them as globals, Node does not, and TypeScript's `lib.dom` declares no values for
 * them, so code that creates buffers imports them from here. The values are those of the specification (WebGPU, 2025:
 * namespaces `GPUBufferUsage` to `GPUColorWrite`).
 */

/** Allowed uses of a `GPUBuffer`. */
export const GPUBufferUsage = {
  MAP_READ: 0x1,
  MAP_WRITE: 0x2,
  COPY_SRC: 0x4,
  COPY_DST: 0x8,
  INDEX: 0x10,
  VERTEX: 0x20,
  UNIFORM: 0x40,
  STORAGE: 0x80,
  INDIRECT: 0x100,
  QUERY_RESOLVE: 0x200,
} as const;

/** How a `GPUBuffer` is mapped. */
export const GPUMapMode = { READ: 0x1, WRITE: 0x2 } as const;

/** Allowed uses of a `GPUTexture`. */
export const GPUTextureUsage = {
  COPY_SRC: 0x1,
  COPY_DST: 0x2,
  TEXTURE_BINDING: 0x4,
  STORAGE_BINDING: 0x8,
  RENDER_ATTACHMENT: 0x10,
} as const;

/** The stages that see a binding. */
export const GPUShaderStage = { VERTEX: 0x1, FRAGMENT: 0x2, COMPUTE: 0x4 } as const;

/** The channels that a pipeline writes. */
export const GPUColorWrite = { RED: 0x1, GREEN: 0x2, BLUE: 0x4, ALPHA: 0x8, ALL: 0xf } as const;
