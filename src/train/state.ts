/**
 * What a run must remember to go on bit for bit: trained numbers and both moments, the step, and with it schedule, order
 * of the data and position, which are functions of the step and the seed. Everything random derives from the seed, so
 * there is no generator to save.
 */
import {
  type Checkpoint,
  type CheckpointStore,
  decodeCheckpoint,
  encodeCheckpoint,
} from '../io/checkpoint.ts';
import { InputError, quote } from '../io/errors.ts';
import { contentHash } from '../io/hash.ts';
import { Fields, isObject, type Json, type JsonObject } from '../io/json.ts';
import type { CausalLM } from '../model/causal-lm.ts';
import type { ParameterStore, Slab } from '../tensor/parameters.ts';
import type { EvaluateEvent, StepEvent } from './events.ts';

const SAVED: readonly Slab[] = ['values', 'firstMoments', 'secondMoments'];

/** What has been told so far, for reports; times are left out, because they are never the same twice. */
export type LogEntry =
  | Pick<StepEvent, 'type' | 'step' | 'epoch' | 'metrics'>
  | Pick<EvaluateEvent, 'type' | 'step' | 'metrics'>;

export interface RunState {
  /** Optimizer steps done. */
  step: number;
  /** Tokens trained on. */
  tokens: number;
  /** Tokens as TRL counts them, for `num_tokens`. */
  numTokens: number;
  log: LogEntry[];
  /** What the source of examples keeps, if it keeps anything. */
  source?: Json;
}

/** Hash of what must be the same for a run to go on: model, trained shapes, settings and data. */
export async function runHash(
  model: CausalLM,
  parameters: ParameterStore,
  about: readonly unknown[],
): Promise<string> {
  const shapes = [...parameters.tensors].map(([name, { shape }]) => [name, shape]);
  return contentHash(await model.policyHash(), ...[shapes, ...about].map((part) => JSON.stringify(part)));
}

/** Writes the state, and tensors of others by their names, atomically by the store's contract. */
export async function saveRun(
  store: CheckpointStore,
  configHash: string,
  parameters: ParameterStore,
  state: RunState,
  others: ReadonlyMap<string, Float32Array> = new Map(),
): Promise<void> {
  const tensors: Checkpoint['tensors'] = new Map(others);
  for (const slab of SAVED) {
    for (const [name, values] of await parameters.read(slab)) tensors.set(`${slab}/${name}`, values);
  }
  await store.write(
    await encodeCheckpoint({ configHash, state: { ...state } as unknown as JsonObject, tensors }),
  );
}

/** Reads the state, undefined where none was written. {@link InputError} where it belongs to another run. */
export async function loadRun(
  store: CheckpointStore,
  configHash: string,
): Promise<{ state: RunState; checkpoint: Checkpoint } | undefined> {
  const bytes = await store.read();
  if (!bytes) return undefined;
  const checkpoint = await decodeCheckpoint(bytes, 'checkpoint');
  if (checkpoint.configHash !== configHash) {
    throw new InputError(
      'checkpoint',
      'belongs to a run with another model, other data or other settings',
      'Resume with the same ones, or write to another folder',
    );
  }
  return { state: runState(checkpoint.state), checkpoint };
}

/** A hash finds damage, and no intent: what a run counts by is looked at all the same. */
function runState(state: Json): RunState {
  if (!isObject(state)) throw new InputError('checkpoint', 'has no state', 'Start again');
  const fields = new Fields(state, 'checkpoint');
  const [step, tokens, numTokens] = ['step', 'tokens', 'numTokens'].map((name) =>
    fields.integer(name, undefined, 0, Number.MAX_SAFE_INTEGER),
  ) as [number, number, number];
  const log = fields.get('log');
  if (!Array.isArray(log) || !log.every(isLogEntry)) throw fields.wrong('log', 'what the run has told');
  const { source } = state;
  return { step, tokens, numTokens, log, ...(source === undefined ? {} : { source }) };
}

function isLogEntry(entry: unknown): entry is LogEntry & JsonObject {
  if (!isObject(entry) || !isObject(entry.metrics)) return false;
  const { type, step, metrics } = entry;
  const isNumber = (value: unknown) => typeof value === 'number';
  return (type === 'step' || type === 'evaluate') && isNumber(step) && Object.values(metrics).every(isNumber);
}

/** Puts the trained numbers of a checkpoint back. {@link InputError} where it has others. */
export function restoreParameters(parameters: ParameterStore, checkpoint: Checkpoint): void {
  for (const slab of SAVED) {
    const prefix = `${slab}/`;
    const values = new Map<string, Float32Array>();
    for (const [name, { length }] of parameters.tensors) {
      const found = checkpoint.tensors.get(prefix + name);
      if (found?.length !== length) {
        const what = `has ${found?.length ?? 'none'} of the ${length} ${slab} of ${quote(name)}`;
        throw new InputError('checkpoint', what, 'Use another copy or start again');
      }
      values.set(name, found);
    }
    parameters.write(slab, values);
  }
}
