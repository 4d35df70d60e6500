/**
 * `webalign/gpu`: the device, its memory and its errors; tensors, the tape and kernels. Define your own operation with
 * WGSL, a table of its entry points ({@link kernels}) and a closure for its gradient on the {@link Tape}.
 *
 * @module webalign/gpu
 */
export { type AdapterReport, deviceDescriptor } from './gpu/adapter.ts';
export { Gpu, type GpuOptions } from './gpu/device.ts';
export {
  DeviceLostError,
  formatBytes,
  GpuError,
  GpuValidationError,
  MemoryCapError,
  NoAdapterError,
  OutOfMemoryError,
  ShaderError,
} from './gpu/errors.ts';
export { GPUBufferUsage, GPUColorWrite, GPUMapMode, GPUShaderStage, GPUTextureUsage } from './gpu/flags.ts';
export { type Buffers, type Count, type Grid, type Kernel, kernels, type Params } from './gpu/kernel.ts';
export { shader } from './gpu/own-shader.ts';
export type { Constants, PipelineKey } from './gpu/pipelines.ts';
export type { Allocation, BufferKind, BufferView, HeldBuffer, MemoryReport } from './gpu/pool.ts';
export type { AdapterKind, AdapterProfile } from './gpu/profile.ts';
export { type Profiler, profile } from './gpu/profiler.ts';
export { type RequestOptions, requestGpu } from './gpu/request.ts';
export type { Shader, ShaderLine } from './gpu/shader.ts';
export type { Tuning, TuningReport, TuningStore } from './gpu/tuner.ts';
export { type Around, Turns } from './gpu/turns.ts';
export { add, copyInto } from './ops/add.ts';
export { inVectors } from './ops/elementwise.ts';
export { type GatherIndex, gather } from './ops/gather.ts';
export { weighGradient } from './ops/weigh-gradient.ts';
export { type ParameterSpec, ParameterStore } from './tensor/parameters.ts';
export { type GradientSlot, Tape, type TapeEntry } from './tensor/tape.ts';
export { type DType, Tensor, type TypedArray } from './tensor/tensor.ts';
