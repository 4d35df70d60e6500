/**
 * Converts tensors between the layouts of an architecture's files and of the decoder: names without their prefix, linear
 * weights stored as (in, out). Only moves bytes; no number changes. gguf-layout.ts handles llama.cpp's files.
 */
import { SCORE_HEAD } from '../io/peft-head.ts';
import type { TensorSource, TensorToStream, TensorToWrite } from '../io/safetensors.ts';
import type { Architecture } from './architecture.ts';
import type { ModelDescription } from './description.ts';
import { fromGguf, isGguf } from './gguf-layout.ts';

/** Left out where a model was saved without its head. */
const PREFIX = 'model.';

/** Tensors of files with the decoder's names and layout; `needed` has the names that it reads. */
export function fromFiles(
  description: ModelDescription,
  stored: ReadonlyMap<string, TensorSource>,
  needed: ReadonlyMap<string, unknown>,
): Map<string, TensorSource> {
  if (isGguf(stored)) return fromGguf(description, stored, needed);
  const { architecture } = description;
  const { prefix = PREFIX, head } = architecture;
  return new Map(
    [...stored].map(([given, tensor]) => {
      const whole =
        stored.has(`${prefix}${given}`) ||
        given.startsWith(prefix) ||
        given.startsWith(`${head}.`) ||
        given === SCORE_HEAD;
      const name = whole ? given : `${prefix}${given}`;
      if (!isTurned(architecture, name, tensor.shape)) return [name, tensor];
      const [rows, cols] = tensor.shape as [number, number];
      const read = async () => transposed(await tensor.read(), rows, cols);
      return [name, { ...tensor, shape: [cols, rows], read }];
    }),
  );
}

/** The decoder's tensors in the layout of the architecture's files. */
export const toFiles = (
  architecture: Architecture,
  tensors: ReadonlyMap<string, TensorToWrite>,
): Map<string, TensorToWrite> =>
  withLayout(architecture, tensors, (tensor, turn) => ({ ...tensor, data: turn(tensor.data) }));

/** The same for tensors whose bytes are produced on request. */
export const toFileStreams = (
  architecture: Architecture,
  tensors: ReadonlyMap<string, TensorToStream>,
): Map<string, TensorToStream> =>
  withLayout(architecture, tensors, (tensor, turn) => ({
    ...tensor,
    read: async () => turn(await tensor.read()),
  }));

function withLayout<T extends { shape: number[] }>(
  architecture: Architecture,
  tensors: ReadonlyMap<string, T>,
  turned: (tensor: T, turn: (data: Uint8Array) => Uint8Array) => T,
): Map<string, T> {
  return new Map(
    [...tensors].map(([name, tensor]) => {
      if (!isTurned(architecture, name, tensor.shape)) return [name, tensor];
      const [rows, cols] = tensor.shape as [number, number];
      return [name, { ...turned(tensor, (data) => transposed(data, rows, cols)), shape: [cols, rows] }];
    }),
  );
}

function isTurned({ transposed: turns, linears }: Architecture, name: string, shape: readonly number[]) {
  if (!turns || !name.endsWith('.weight') || shape.length !== 2) return false;
  const module = name.replace(/\.weight$/, '').replace(/\.\d+\./, '.{i}.');
  return Object.values(linears).includes(module);
}

/** The transposed matrix, for any element type. */
function transposed(data: Uint8Array, rows: number, cols: number): Uint8Array<ArrayBuffer> {
  const size = data.length / (rows * cols);
  const turned = new Uint8Array(data.length);
  for (let row = 0; row < rows; row++) {
    for (let col = 0; col < cols; col++) {
      const from = (row * cols + col) * size;
      for (let byte = 0; byte < size; byte++) turned[(col * rows + row) * size + byte] = data[from + byte];
    }
  }
  return turned;
}
