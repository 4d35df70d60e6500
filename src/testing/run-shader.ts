/**
 * Runs a compute shader once on given numbers and returns its output. Every storage buffer is longer than the passed data:
 * guard words follow it within the same binding, which a correct shader does not change.
 */
import { GpuValidationError, ShaderError } from '../gpu/errors.ts';

/** Numbers in the layout of a binding. */
export type BindingData =
  | Float32Array
  | Uint32Array
  | Int32Array
  | Uint16Array
  | Int16Array
  | Uint8Array
  | Int8Array;

export interface ShaderRun {
  /** WGSL. */
  code: string;
  /** Initial contents of each buffer, by the name of its variable. The length is what the shader may use. */
  buffers: Readonly<Record<string, BindingData>>;
  /** Number of workgroups, in up to three dimensions. */
  workgroups: number | readonly number[];
  /** The entry point; required if the code has several. */
  entryPoint?: string | undefined;
  /** Values of `override` declarations. */
  constants?: Readonly<Record<string, number>> | undefined;
  /** A name for errors, such as the path of the file; default: `shader.wgsl`. */
  name?: string | undefined;
}

/** A declared binding: group, number, type and name. */
interface Declared {
  group: number;
  binding: number;
  type: 'uniform' | 'read-only-storage' | 'storage';
  name: string;
}

/** A buffer on the device with its metadata. */
interface Bound extends Declared {
  data: BindingData;
  buffer: GPUBuffer;
  /** Number of guard words after the data. */
  guard: number;
}

/** Default number of guard words after the data of a binding. */
const GUARD = 64;
/** As a float -100022.2: not a NaN, which arithmetic would leave unchanged. */
const SENTINEL = 0xc7c35b1d;
const DECLARATION =
  /((?:@(?:group|binding)\s*\(\s*\d+[ui]?\s*\)\s*){2})var\s*<\s*(uniform|storage)\s*(?:,\s*(\w+)\s*)?>\s*(\w+)/g;

/**
 * Returns the contents of all `read_write` buffers, by name, in the type that was passed. Throws a {@link ShaderError} with
 * line and source if the code does not compile, a {@link GpuValidationError} if the device rejects it or a buffer's name is
 * wrong, and an Error if a guard was changed: the shader wrote past the passed length. WebGPU clamps or drops a write
 * outside the whole binding; if it clamps, the write hits the guard's last word.
 *
 * A buffer whose length the code queries (`arrayLength(&x)`) has no guard, because the guard would be included.
 */
export async function runShader(
  device: GPUDevice,
  { code, buffers, workgroups, entryPoint, constants, name = 'shader.wgsl' }: ShaderRun,
): Promise<Record<string, BindingData>> {
  const plain = code.replace(/\/\/[^\n]*|\/\*[\s\S]*?\*\//g, ' ');
  const declared = declarations(plain);
  requireNames(name, declared, Object.keys(buffers));
  const scopes = ['internal', 'out-of-memory', 'validation'] as const;
  for (const scope of scopes) device.pushErrorScope(scope);
  const module = device.createShaderModule({ label: name, code });
  const bound: Bound[] = declared.map((each) => {
    const guard = guardOf(each, plain);
    const data = buffers[each.name];
    return { ...each, data, guard, buffer: upload(device, each, data, guard) };
  });
  const written = bound.filter(({ type }) => type === 'storage');
  const groups = groupsOf(device, bound);
  const pipeline = device.createComputePipeline({
    label: name,
    layout: device.createPipelineLayout({ bindGroupLayouts: groups.map(({ layout }) => layout) }),
    compute: { module, ...(entryPoint && { entryPoint }), ...(constants && { constants: { ...constants } }) },
  });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  for (const [at, { group }] of groups.entries()) pass.setBindGroup(at, group);
  const [x = 1, y = 1, z = 1] = typeof workgroups === 'number' ? [workgroups] : workgroups;
  pass.dispatchWorkgroups(x, y, z);
  pass.end();
  const copies = written.map(({ buffer: { size }, buffer, name }) => {
    // MAP_READ | COPY_DST
    const copy = device.createBuffer({ label: `copy of ${name}`, size, usage: 0x1 | 0x8 });
    encoder.copyBufferToBuffer(buffer, 0, copy, 0, size);
    return copy;
  });
  device.queue.submit([encoder.finish()]);
  const errors = Promise.all(scopes.map(() => device.popErrorScope()));
  try {
    const findings = await compileErrors(module, name, code);
    if (findings) throw new ShaderError(findings);
    const error = (await errors).find((each) => each !== null);
    if (error) throw new GpuValidationError(`${name}: ${error.message}`);
    // 1 is GPUMapMode.READ, which is not a global in Node.
    await Promise.all(copies.map((copy) => copy.mapAsync(1)));
    const contents = copies.map((copy) => copy.getMappedRange().slice(0));
    const results = written.map((each, i) => [each.name, contentOf(name, each, contents[i])]);
    return Object.fromEntries(results);
  } finally {
    for (const { buffer } of bound) buffer.destroy();
    for (const copy of copies) copy.destroy();
  }
}

function declarations(code: string): Declared[] {
  return [...code.matchAll(DECLARATION)].map(([, attributes = '', space, access, name = '']) => {
    const number = (attribute: string) =>
      Number(new RegExp(`@${attribute}\\s*\\(\\s*(\\d+)`).exec(attributes)?.[1]);
    const storage = access === 'read_write' ? 'storage' : 'read-only-storage';
    return {
      group: number('group'),
      binding: number('binding'),
      type: space === 'uniform' ? 'uniform' : storage,
      name,
    };
  });
}

function requireNames(shader: string, declared: readonly Declared[], passed: readonly string[]): void {
  const known = declared.map(({ name }) => name);
  const missing = known.filter((name) => !passed.includes(name));
  const unknown = passed.filter((name) => !known.includes(name));
  if (missing.length === 0 && unknown.length === 0) return;
  const parts = [
    missing.length > 0 && `no data for ${missing.join(', ')}`,
    unknown.length > 0 && `the code declares no buffer ${unknown.join(', ')}`,
  ];
  const all = known.join(', ') || 'none';
  throw new GpuValidationError(
    `${shader}: ${parts.filter(Boolean).join(', and ')}. Buffers that it declares: ${all}.`,
  );
}

function guardOf({ type, name }: Declared, code: string): number {
  const isAsked = new RegExp(`arrayLength\\s*\\(\\s*&\\s*${name}\\b`).test(code);
  return type === 'uniform' || isAsked ? 0 : GUARD;
}

function upload(device: GPUDevice, { type, name }: Declared, data: BindingData, guard: number): GPUBuffer {
  const alignment = type === 'uniform' ? 16 : 4;
  const length = Math.max(alignment, Math.ceil(data.byteLength / alignment) * alignment);
  const contents = new Uint8Array(length + 4 * guard);
  if (guard > 0) new Uint32Array(contents.buffer, length).fill(SENTINEL);
  contents.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  // COPY_SRC | COPY_DST, and UNIFORM or STORAGE
  const usage = 0x4 | 0x8 | (type === 'uniform' ? 0x40 : 0x80);
  const buffer = device.createBuffer({ label: name, size: contents.byteLength, usage });
  device.queue.writeBuffer(buffer, 0, contents);
  return buffer;
}

/** A layout and a bind group for each group up to the highest; unused ones are empty. */
function groupsOf(device: GPUDevice, bound: readonly Bound[]) {
  const count = Math.max(0, ...bound.map(({ group }) => group + 1));
  return Array.from({ length: count }, (_, group) => {
    const own = bound.filter((each) => each.group === group);
    const layout = device.createBindGroupLayout({
      // 4 is GPUShaderStage.COMPUTE, which is not a global in Node.
      entries: own.map(({ binding, type }) => ({ binding, visibility: 4, buffer: { type } })),
    });
    const entries = own.map(({ binding, buffer }) => ({ binding, resource: { buffer } }));
    return { layout, group: device.createBindGroup({ layout, entries }) };
  });
}

async function compileErrors(module: GPUShaderModule, name: string, code: string): Promise<string> {
  const { messages } = await module.getCompilationInfo();
  const source = code.split('\n');
  return messages
    .filter(({ type }) => type === 'error')
    .map(({ lineNum, linePos, message }) => {
      const [first, ...rest] = message.trim().split('\n');
      const text = `    ${(source[lineNum - 1] ?? '').trim()}`;
      return [`${name}:${lineNum}:${linePos}: ${first}`, text, ...rest].join('\n');
    })
    .join('\n');
}

/** The data from a buffer's bytes, after checking its guard. */
function contentOf(shader: string, { name, data, guard }: Bound, bytes: ArrayBuffer): BindingData {
  const words = new Uint32Array(bytes);
  const first = words.length - guard;
  const changed = words.findIndex((word, i) => i >= first && word !== SENTINEL);
  if (changed >= 0) {
    const Type = data.constructor as new (buffer: ArrayBuffer) => BindingData;
    const at = Math.floor((4 * changed) / data.BYTES_PER_ELEMENT);
    throw new Error(
      `${shader}: wrote past the length of ${name}, which is ${data.length}: element ${at} is now ${new Type(bytes)[at]}.`,
    );
  }
  const Type = data.constructor as new (buffer: ArrayBuffer, offset: number, length: number) => BindingData;
  return new Type(bytes, 0, data.length);
}
