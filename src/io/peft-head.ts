/**
 * The head of a reward model in PEFT's files: an adapter for sequence classification (`SEQ_CLS`) with one label stores it
 * completely, as one of `modules_to_save`.
 */
import { InputError, listed } from './errors.ts';
import { toFloat32, toFloat32Bytes } from './float.ts';
import type { Fields, Json } from './json.ts';
import type { StoredTensor, TensorToWrite } from './safetensors.ts';

/** transformers' name for the head's weight, (1, hidden). */
export const SCORE_HEAD = 'score.weight';
const IN_FILE = `base_model.model.${SCORE_HEAD}`;

/** PEFT saves modules with either name. */
const MODULES = ['classifier', 'score'];

/** The fields of `adapter_config.json` that depend on the head. */
export function headFields(head: Float32Array | undefined) {
  return head
    ? { modules_to_save: [...MODULES], task_type: 'SEQ_CLS' }
    : { modules_to_save: null, task_type: 'CAUSAL_LM' };
}

/** The head as stored in the file; empty without a head. */
export function headTensor(head: Float32Array | undefined): [string, TensorToWrite][] {
  if (!head) return [];
  return [[IN_FILE, { dtype: 'F32', shape: [1, head.length], data: toFloat32Bytes(head) }]];
}

/** Whether the configuration is that of a reward model, whose head is stored with the tensors. */
export function hasHead(fields: Fields): boolean {
  const saved = fields.get('modules_to_save');
  const isHead = (name: Json) => MODULES.some((module) => module === name);
  return (
    fields.get('task_type') === 'SEQ_CLS' &&
    Array.isArray(saved) &&
    saved.includes('score') &&
    saved.every(isHead)
  );
}

/** Removes the head from the tensors of `file` and returns it. Throws {@link InputError} if it has several labels. */
export function takeHead(
  tensors: ReadonlyMap<string, StoredTensor>,
  file: string,
): { head: Float32Array; others: Map<string, StoredTensor> } {
  const others = new Map(tensors);
  const tensor = tensors.get(IN_FILE);
  others.delete(IN_FILE);
  if (!tensor) {
    const wayOut = 'Save the adapter again with "score" among its modules_to_save';
    throw new InputError(file, `has no ${IN_FILE}, the head of a SEQ_CLS adapter`, wayOut);
  }
  return { head: headValues(tensor), others };
}

/** The values of a stored head. Throws {@link InputError} unless they are (1, hidden) and finite. */
export function headValues(tensor: StoredTensor): Float32Array {
  const { shape, where } = tensor;
  if (shape.length !== 2 || shape[0] !== 1 || shape[1] === 0) {
    const wayOut = 'A reward model has one label: train it with num_labels=1';
    throw new InputError(where, `shape (${listed(shape)}) is not (1, hidden)`, wayOut);
  }
  const values = toFloat32(tensor).slice();
  if (values.every(Number.isFinite)) return values;
  throw new InputError(
    where,
    'contains numbers that are not finite',
    'Train it again with a lower learning rate',
  );
}
