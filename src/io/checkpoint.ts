/**
 * A checkpoint in one file: named float32 tensors and a JSON state in a safetensors container, with a version, the hash of
 * its configuration, and a hash of the whole content, so that a damaged one is rejected rather than used. The trainer
 * defines the content; the store decides where it is kept.
 */
import { InputError, quote } from './errors.ts';
import { toFloat32, toFloat32Bytes } from './float.ts';
import { contentHash } from './hash.ts';
import { type Json, parseJson } from './json.ts';
import { parseSafetensors, type TensorToWrite, writeSafetensors } from './safetensors.ts';

export interface Checkpoint {
  /** Hash of everything that must be equal on resume: model, data, settings. */
  configHash: string;
  /** Any value that JSON represents exactly: no NaN, no infinities. */
  state: Json;
  tensors: Map<string, Float32Array>;
}

/**
 * Storage for one checkpoint. `write` must be atomic: at any time, `read` returns either the old or the new bytes.
 */
export interface CheckpointStore {
  /** Undefined if nothing has been written yet. */
  read(): Promise<Uint8Array<ArrayBuffer> | undefined>;
  write(bytes: Uint8Array<ArrayBuffer>): Promise<void>;
}

const FORMAT = 'webalign-checkpoint';
const VERSION = '1';

/** An in-memory store. */
export function memoryCheckpointStore(): CheckpointStore {
  let kept: Uint8Array<ArrayBuffer> | undefined;
  return {
    read: async () => kept?.slice(),
    write: async (bytes) => {
      kept = bytes.slice();
    },
  };
}

/** Encodes a checkpoint as one file; equal content gives equal bytes. */
export async function encodeCheckpoint({
  configHash,
  state,
  tensors,
}: Checkpoint): Promise<Uint8Array<ArrayBuffer>> {
  const stateJson = JSON.stringify(state, (name, value: unknown) => {
    if (typeof value !== 'number' || Number.isFinite(value)) return value;
    throw new TypeError(`checkpoint state "${name}" is ${value}, which JSON cannot represent`);
  });
  const stored = new Map<string, TensorToWrite>();
  for (const [name, values] of tensors) {
    stored.set(name, { dtype: 'F32', shape: [values.length], data: toFloat32Bytes(values) });
  }
  const sha256 = await hashOf(configHash, stateJson, tensors);
  return writeSafetensors(stored, { format: FORMAT, version: VERSION, configHash, state: stateJson, sha256 });
}

/**
 * Reads a file of {@link encodeCheckpoint}. Throws {@link InputError} if it is damaged, has another version or is not a
 * checkpoint. The tensors may be views of `bytes`.
 */
export async function decodeCheckpoint(bytes: Uint8Array<ArrayBuffer>, name: string): Promise<Checkpoint> {
  const { metadata, tensors: stored } = parseSafetensors(bytes, name);
  const { format, version, configHash, state, sha256 } = metadata;
  if (format !== FORMAT || configHash === undefined || state === undefined) {
    throw new InputError(name, 'is not a checkpoint', 'Name the file that training wrote');
  }
  if (version !== VERSION) {
    throw new InputError(
      name,
      `has version ${quote(version)}, but version ${VERSION} is required`,
      'Resume with the release that wrote it',
    );
  }
  const tensors: Checkpoint['tensors'] = new Map();
  for (const [tensor, values] of stored) tensors.set(tensor, toFloat32(values));
  if ((await hashOf(configHash, state, tensors)) !== sha256) {
    throw new InputError(name, 'is damaged: its content hash differs', 'Use another copy or start again');
  }
  return { configHash, state: parseJson(state, name), tensors };
}

function hashOf(
  configHash: string,
  state: string,
  tensors: ReadonlyMap<string, Float32Array>,
): Promise<string> {
  const names = [...tensors.keys()].sort();
  const contents = names.map((name) => tensors.get(name)!);
  return contentHash(VERSION, configHash, state, JSON.stringify(names), ...contents);
}
