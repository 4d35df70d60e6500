/**
 * A kernel is an entry point of a shader, called by name: `rmsNorm.forward(gpu, { x, weight, y }, { rows, cols, eps })`.
 * Buffers and parameters are checked against the shader's declarations; a missing or unknown name throws with the kernel's
 * label. Only the number of workgroups cannot be derived from the shader, so it is defined here.
 */
import { own } from '../base/lookup.ts';
import type { Gpu } from './device.ts';
import { GpuValidationError } from './errors.ts';
import { type Constants, type PipelineKey, workgroupThreads } from './pipelines.ts';
import type { BufferView } from './pool.ts';
import { type Binding, type Field, reflect } from './reflect.ts';
import type { Shader } from './shader.ts';

/** Scalars of the `Params` uniform by name. */
export type Params = Readonly<Record<string, number>>;
export type Buffers = Readonly<Record<string, BufferView | GPUBuffer>>;

/** A number computed from a call's parameters and constants. */
export type Count = (params: Params, constants: Constants) => number;
/** Number of workgroups, or of threads (rounded up to whole workgroups). */
export type Grid = { groups: Count } | { threads: Count };

export interface Kernel {
  (gpu: Gpu, buffers: Buffers, params?: Params, constants?: Constants): void;
  readonly label: string;
  /** The kernel's pipeline, for {@link Gpu.compile}. */
  key(constants?: Constants): PipelineKey;
}

/** The kernels of a shader: `kernels(shader, { forward: { groups: (p) => p.rows } })`. */
export function kernels<Entry extends string>(
  shader: Shader,
  grids: Record<Entry, Grid>,
): Record<Entry, Kernel> {
  const entries = Object.entries(grids) as [Entry, Grid][];
  return Object.fromEntries(entries.map(([entry, grid]) => [entry, kernel(shader, entry, grid)])) as Record<
    Entry,
    Kernel
  >;
}

function kernel(shader: Shader, entry: string, grid: Grid): Kernel {
  const label = `${shader.path}:${entry}`;
  const call = (gpu: Gpu, buffers: Buffers, params: Params = {}, constants: Constants = {}) => {
    const { params: fields, entries } = reflect(shader);
    const bindings = entries.get(entry)?.bindings ?? [];
    const declared = bindings.some((binding) => binding.access === 'uniform') ? fields : [];
    const views = matchBuffers(label, bindings, buffers, gpu);
    matchParams(label, declared, params);
    const groups =
      'groups' in grid
        ? grid.groups(params, constants)
        : Math.ceil(grid.threads(params, constants) / workgroupThreads(shader, entry, constants));
    if (!Number.isInteger(groups) || groups < 0)
      throw new GpuValidationError(`${label}: ${groups} workgroups`);
    gpu.dispatch({ shader, entry, constants }, views, groups, (data, offset) =>
      writeParams(declared, params, data, offset),
    );
  };
  return Object.assign(call, {
    label,
    key: (constants?: Constants): PipelineKey => ({ shader, entry, constants }),
  });
}

function matchBuffers(label: string, bindings: readonly Binding[], buffers: Buffers, gpu: Gpu): BufferView[] {
  const views: BufferView[] = [];
  for (const { name, access } of bindings) {
    if (access === 'uniform') continue;
    const given = own(buffers, name);
    if (!given) throw new GpuValidationError(`${label}: buffer ${name} is missing`);
    const view = 'buffer' in given ? given : { buffer: given, offset: 0, size: given.size };
    if (view.size > gpu.limits.maxStorageBufferBindingSize) {
      throw new GpuValidationError(
        `${label}: buffer ${name} has ${view.size} bytes, more than this device's maxStorageBufferBindingSize of ` +
          `${gpu.limits.maxStorageBufferBindingSize}. Use a smaller batch, or a smaller vocabulary or model.`,
      );
    }
    views.push(view);
  }
  if (views.length !== Object.keys(buffers).length) {
    const known = new Set(bindings.map((binding) => binding.name));
    const unknown = Object.keys(buffers).filter((name) => !known.has(name));
    throw new GpuValidationError(`${label}: unknown buffer ${unknown.join(', ')}`);
  }
  return views;
}

function matchParams(label: string, fields: readonly Field[], params: Params): void {
  for (const { name } of fields) {
    if (own(params, name) === undefined)
      throw new GpuValidationError(`${label}: parameter ${name} is missing`);
  }
  if (fields.length !== Object.keys(params).length) {
    const known = new Set(fields.map((field) => field.name));
    const unknown = Object.keys(params).filter((name) => !known.has(name));
    throw new GpuValidationError(`${label}: unknown parameter ${unknown.join(', ')}`);
  }
}

const setters = {
  u32: (data: DataView, offset: number, value: number) => data.setUint32(offset, value, true),
  i32: (data: DataView, offset: number, value: number) => data.setInt32(offset, value, true),
  f32: (data: DataView, offset: number, value: number) => data.setFloat32(offset, value, true),
};

function writeParams(fields: readonly Field[], params: Params, data: DataView, offset: number): void {
  for (const field of fields) setters[field.type](data, offset + field.offset, own(params, field.name)!);
}
