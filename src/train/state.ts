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
import { Fields, isObject, type Json, type JsonObject } from '../io/json.ts';
import type { ParameterStore, Slab } from '../tensor/parameters.ts';
import type { EvaluateEvent, StepEvent } from './events.ts';
import {
  areChanges,
  changesSince,
  hashOfFixed,
  type RunIdentity,
  requireSteps,
  type SettingChange,
  savedIdentity,
} from './resume.ts';
import { isDue } from './schedule.ts';

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
  /** Settings that were changed on the way, by the step after which. */
  changes: SettingChange[];
  /** What the source of examples keeps, if it keeps anything. */
  source?: Json;
}

/** Writes the state, and tensors of others by their names, atomically by the store's contract. */
export async function saveRun(
  store: CheckpointStore,
  identity: RunIdentity,
  parameters: ParameterStore,
  state: RunState,
  others: ReadonlyMap<string, Float32Array> = new Map(),
): Promise<void> {
  const tensors: Checkpoint['tensors'] = new Map(others);
  for (const slab of SAVED) {
    for (const [name, values] of await parameters.read(slab)) tensors.set(`${slab}/${name}`, values);
  }
  const configHash = await hashOfFixed(identity);
  const { mayChange: _, ...run } = identity;
  const saved = { ...state, run } as unknown as JsonObject;
  await store.write(await encodeCheckpoint({ configHash, state: saved, tensors }));
}

/**
 * Reads the state, undefined where none was written, and records in it what has changed since. {@link InputError} where it
 * belongs to another run.
 */
export async function loadRun(
  store: CheckpointStore,
  identity: RunIdentity,
  totalSteps: number,
): Promise<{ state: RunState; checkpoint: Checkpoint; changed: SettingChange[] } | undefined> {
  const bytes = await store.read();
  if (!bytes) return undefined;
  const checkpoint = await decodeCheckpoint(bytes, 'checkpoint');
  const before = savedIdentity(isObject(checkpoint.state) ? checkpoint.state.run : undefined);
  if (!before) {
    const what = 'does not say which settings it was written with';
    throw new InputError('checkpoint', what, 'Go on with the version that wrote it, or start again');
  }
  const state = runState(checkpoint.state);
  const changed = changesSince(state.step, before, identity);
  if (checkpoint.configHash !== (await hashOfFixed(identity)))
    throw new InputError('checkpoint', 'belongs to another run', 'Write to another folder');
  requireSteps(state.step, totalSteps);
  return { state: { ...state, changes: [...state.changes, ...changed] }, checkpoint, changed };
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
  const { source, changes } = state;
  if (!areChanges(changes)) throw fields.wrong('changes', 'settings that were changed');
  return { step, tokens, numTokens, log, changes, ...(source === undefined ? {} : { source }) };
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

/** Whether the run was evaluated where it stands. */
function hasEvaluated({ log, step }: RunState): boolean {
  return log.some((entry) => entry.type === 'evaluate' && entry.step === step);
}

/** Whether the run as it stands is to be evaluated: on its way, at its end, or because a stop cut an evaluation off. */
export function owesEvaluation(
  state: RunState,
  { evalSteps }: { evalSteps: number },
  totalSteps: number,
): boolean {
  const { step } = state;
  const isTime = step >= totalSteps || (step > 0 && isDue(step, evalSteps));
  return isTime && !hasEvaluated(state);
}

/** How far a run has come. */
export function positionOf({
  step,
  tokens,
  numTokens,
}: RunState): Pick<RunState, 'step' | 'tokens' | 'numTokens'> {
  return { step, tokens, numTokens };
}

/**
 * What a checkpoint says of its run, for a page that shows it or offers to continue; undefined where none was written.
 * Throws {@link InputError} where it is damaged. Whether it belongs to the run at hand is checked when the trainer resumes.
 */
export async function readRunState(store: CheckpointStore): Promise<RunState | undefined> {
  const bytes = await store.read();
  if (!bytes) return undefined;
  const { state } = await decodeCheckpoint(bytes, 'checkpoint');
  return runState(state);
}
