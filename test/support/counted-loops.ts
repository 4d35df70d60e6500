/**
 * A device that runs nothing, but computes the iterations of each kernel that an op calls on it. This allows sizes far beyond
 * the memory of a test machine.
 */
import type { Gpu } from '../../src/gpu/device.ts';
import type { PipelineKey } from '../../src/gpu/pipelines.ts';
import type { BufferView } from '../../src/gpu/pool.ts';
import { type AdapterKind, PROFILES } from '../../src/gpu/profile.ts';
import { reflect } from '../../src/gpu/reflect.ts';
import type { Shader } from '../../src/gpu/shader.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { constantsOf, holdsFor, roundsOf, type Values } from './loop-rounds.ts';
import { iterationsOf, type LoopsOfCode, loopsOf } from './wgsl-loops.ts';

const parsed = new WeakMap<Shader, LoopsOfCode>();

/** A binding limit above any tensor of a test. */
const NO_LIMIT = 2 ** 50;

export interface CountedLoops {
  gpu: Gpu;
  /** The most iterations of each kernel so far, by label. */
  readonly most: ReadonlyMap<string, number>;
  /** A tensor without memory. */
  tensor(shape: readonly number[], trained?: boolean, dtype?: 'f32' | 'u32'): Tensor;
}

/** The device as a software adapter or as a GPU. */
export function countedLoops(real: Gpu, kind: AdapterKind, known: Values = {}): CountedLoops {
  const most = new Map<string, number>();
  const view = (size: number): BufferView => ({ buffer: {} as GPUBuffer, offset: 0, size });
  const gpu: Gpu = Object.create(real.countingCopy(), {
    adapterProfile: { value: PROFILES[kind] },
    limits: { value: { ...limitsOf(real), maxStorageBufferBindingSize: NO_LIMIT } },
    pool: { value: { allocate: view, release() {} } },
    dispatch: {
      value: (
        key: PipelineKey,
        _: unknown,
        __: number,
        setUniforms: (data: DataView, at: number) => void,
      ) => {
        const label = `${key.shader.path}:${key.entry}`;
        const iterations = iterationsIn(key, setUniforms, known);
        most.set(label, Math.max(most.get(label) ?? 0, iterations));
      },
    },
  });
  const tensor = (shape: readonly number[], trained = false, dtype: 'f32' | 'u32' = 'f32') => {
    const made = new Tensor(view(4 * shape.reduce((a, b) => a * b, 1)), shape, dtype);
    made.requiresGrad = trained;
    return made;
  };
  return { gpu, most, tensor };
}

function limitsOf({ limits }: Gpu) {
  const { maxComputeInvocationsPerWorkgroup, maxComputeWorkgroupSizeX } = limits;
  return { maxComputeInvocationsPerWorkgroup, maxComputeWorkgroupSizeX };
}

function iterationsIn(
  { shader, entry, constants = {} }: PipelineKey,
  setUniforms: (data: DataView, at: number) => void,
  known: Values,
): number {
  const { params, constants: written } = reflect(shader);
  const data = new DataView(new ArrayBuffer(1024));
  setUniforms(data, 0);
  const passed: Values = Object.fromEntries(
    params.map(({ name, type, offset }) => [
      name,
      type === 'f32' ? data.getFloat32(offset, true) : data.getUint32(offset, true),
    ]),
  );
  const fixed = constantsOf(written, constants);
  // Entries that all the sparse kernels of the head may have to add.
  const likely = entry === 'head_sparse' ? (passed.rows ?? 0) * (fixed.TOKENS_PER_GROUP ?? 1) : passed.cols;
  const values = { ...fixed, ...known, ...passed, likely: likely ?? 0 };
  const loops = parsed.get(shader) ?? loopsOf(shader.code);
  parsed.set(shader, loops);
  return iterationsOf(
    loops,
    entry,
    (header) => roundsOf(header, values),
    (condition) => holdsFor(condition, fixed),
  );
}
