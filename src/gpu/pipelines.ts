/**
 * Compiled pipelines, keyed by (shader, entry, constants). `compile` compiles them asynchronously and in parallel; a kernel
 * that is used earlier compiles on first use. Shader errors show the file, line and source text of the `.wgsl` file. Does
 * not depend on buffers' contents.
 */
import { own } from '../base/lookup.ts';
import { GpuValidationError, ShaderError } from './errors.ts';
import { type Guard, unguarded } from './guard.ts';
import { type Binding, type Reflection, reflect } from './reflect.ts';
import type { Shader } from './shader.ts';

export type Constants = Readonly<Record<string, number | boolean | string>>;

/** Identifies a pipeline. */
export interface PipelineKey {
  shader: Shader;
  entry: string;
  constants?: Constants | undefined;
}

export interface Pipeline {
  readonly id: number;
  readonly label: string;
  readonly layout: GPUBindGroupLayout;
  readonly bindings: readonly Binding[];
  /** Whether the entry reads `Params`, and so needs an offset into the uniform arena. */
  readonly readsParams: boolean;
  readonly handle: GPUComputePipeline;
}

interface Prepared {
  label: string;
  layout: GPUBindGroupLayout;
  bindings: readonly Binding[];
  descriptor: GPUComputePipelineDescriptor;
}

export class PipelineCache {
  // Weak, so that user-defined shaders can be garbage collected.
  private readonly pipelines = new WeakMap<Shader, Map<string, Pipeline>>();
  private readonly modules = new WeakMap<Shader, Map<string, GPUShaderModule>>();
  private readonly checks = new Set<Promise<void>>();
  private nextId = 0;

  constructor(
    private readonly device: GPUDevice,
    private readonly onError: (error: Error) => void,
    private readonly guard: Guard = unguarded,
  ) {}

  /** The pipeline; compiled now if necessary. */
  get(key: PipelineKey): Pipeline {
    const known = this.find(key);
    if (known) return known;
    return this.guard(() => {
      const prepared = this.prepare(key);
      return this.store(key, prepared, this.device.createComputePipeline(prepared.descriptor));
    });
  }

  /** Compiles many pipelines in parallel. Throws the first {@link ShaderError}. */
  async compile(keys: readonly PipelineKey[]): Promise<void> {
    const distinct = new Map(
      keys.map((key) => [`${key.shader.path} ${keyText(key.entry, key.constants)}`, key]),
    );
    await Promise.all(
      [...distinct.values()]
        .filter((key) => !this.find(key))
        .map(async (key) => {
          const prepared = this.guard(() => this.prepare(key));
          await Promise.all(this.checks);
          const handle = await this.device.createComputePipelineAsync(prepared.descriptor);
          if (!this.find(key)) this.store(key, prepared, handle);
        }),
    );
  }

  private find({ shader, entry, constants }: PipelineKey): Pipeline | undefined {
    return this.pipelines.get(shader)?.get(keyText(entry, constants));
  }

  private store(key: PipelineKey, prepared: Prepared, handle: GPUComputePipeline): Pipeline {
    const { label, layout, bindings } = prepared;
    const readsParams = bindings.some(({ access }) => access === 'uniform');
    const pipeline: Pipeline = { id: this.nextId++, label, layout, bindings, readsParams, handle };
    const ofShader = this.pipelines.get(key.shader) ?? new Map<string, Pipeline>();
    ofShader.set(keyText(key.entry, key.constants), pipeline);
    this.pipelines.set(key.shader, ofShader);
    return pipeline;
  }

  private prepare({ shader, entry, constants = {} }: PipelineKey): Prepared {
    const reflection = reflect(shader);
    const label = `${shader.path}:${entry}`;
    const point = reflection.entries.get(entry);
    if (!point) {
      throw new GpuValidationError(
        `${label}: no such entry; the file has ${[...reflection.entries.keys()].join(', ')}`,
      );
    }
    const { overrides, replaced } = splitConstants(label, reflection, constants);
    const layout = this.device.createBindGroupLayout({ label, entries: point.bindings.map(layoutEntry) });
    return {
      label,
      layout,
      bindings: point.bindings,
      descriptor: {
        label,
        layout: this.device.createPipelineLayout({ label, bindGroupLayouts: [layout] }),
        compute: { module: this.module(shader, replaced), entryPoint: entry, constants: overrides },
      },
    };
  }

  private module(shader: Shader, replaced: Constants): GPUShaderModule {
    const key = JSON.stringify(replaced);
    const ofShader = this.modules.get(shader) ?? new Map<string, GPUShaderModule>();
    this.modules.set(shader, ofShader);
    const known = ofShader.get(key);
    if (known) return known;
    let code = shader.code;
    for (const [name, value] of Object.entries(replaced)) {
      code = code.replace(new RegExp(`^((?:const|alias)\\s+${name}\\b[^=;]*=)[^;]+;`, 'm'), `$1 ${value};`);
    }
    // The compilation info reports the same error with its position in the file.
    this.device.pushErrorScope('validation');
    const module = this.device.createShaderModule({ label: shader.path, code });
    this.device.popErrorScope().catch(() => {});
    ofShader.set(key, module);
    const check = describeFindings(module, shader, code)
      .then((text) => {
        if (text) this.onError(new ShaderError(text));
      })
      .finally(() => this.checks.delete(check));
    this.checks.add(check);
    return module;
  }
}

function keyText(entry: string, constants: Constants | undefined): string {
  return constants && Object.keys(constants).length > 0 ? `${entry} ${JSON.stringify(constants)}` : entry;
}

function splitConstants(label: string, reflection: Reflection, constants: Constants) {
  const overrides: Record<string, number> = {};
  const replaced: Record<string, number | boolean | string> = {};
  for (const [name, value] of Object.entries(constants)) {
    if (reflection.overrides.has(name)) overrides[name] = Number(value);
    else if (reflection.constants.has(name)) replaced[name] = value;
    else throw new GpuValidationError(`${label}: no constant or override is called ${name}`);
  }
  return { overrides, replaced };
}

/** Total number of threads in a workgroup of the entry, with the constants replaced. */
export function workgroupThreads(shader: Shader, entry: string, constants: Constants): number {
  const { entries, constants: written } = reflect(shader);
  const dimensions = entries.get(entry)?.workgroupSize ?? [];
  return dimensions
    .map((text) => Number(own(constants, text) ?? written.get(text) ?? text))
    .reduce((product, size) => product * size, 1);
}

const bufferTypes = { uniform: 'uniform', read: 'read-only-storage', read_write: 'storage' } as const;

function layoutEntry(binding: Binding): GPUBindGroupLayoutEntry {
  const type = bufferTypes[binding.access];
  return {
    binding: binding.binding,
    visibility: 4, // GPUShaderStage.COMPUTE, which is not a global in Node
    buffer: { type, hasDynamicOffset: type === 'uniform' },
  };
}

async function describeFindings(module: GPUShaderModule, shader: Shader, code: string): Promise<string> {
  const { messages } = await module.getCompilationInfo();
  const source = code.split('\n');
  return messages
    .filter((message) => message.type === 'error')
    .map((message) => {
      const origin = shader.lines[message.lineNum - 1] ?? { file: shader.path, line: message.lineNum };
      const text = (source[message.lineNum - 1] ?? '').trim();
      return `${origin.file}:${origin.line}:${message.linePos}: ${message.message.trim()}\n    ${text}`;
    })
    .join('\n');
}
