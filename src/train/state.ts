/**
 * The state that a run needs to resume bit for bit: trained weights, both moments and the step. Schedule, data order
 * and position are functions of the step and the seed. All random numbers derive from the seed, so
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

/** The log so far, for reports; without times, which differ from run to run. */
export type LogEntry =
  | Pick<StepEvent, 'type' | 'step' | 'epoch' | 'metrics'>
  | Pick<EvaluateEvent, 'type' | 'step' | 'metrics'>;

export interface RunState {
  /** Completed optimizer steps. */
  step: number;
  /** Number of tokens trained on. */
  tokens: number;
  /** Tokens counted as in TRL, for `num_tokens`. */
  numTokens: number;
  log: LogEntry[];
  /** Settings that were changed during the run, with the last step before the change. */
  changes: SettingChange[];
  /** The state of the source of examples, if any. */
  source?: Json;
}

/** Writes the state, and further tensors by name; atomically, as the store guarantees. */
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
 * Reads the state, undefined if none was written, and records changes since then. Throws {@link InputError} if it
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
    const what = 'does not contain the settings it was written with';
    throw new InputError('checkpoint', what, 'Continue with the version that wrote it, or start again');
  }
  const state = runState(checkpoint.state);
  const changed = changesSince(state.step, before, identity);
  if (checkpoint.configHash !== (await hashOfFixed(identity, before.settings)))
    throw new InputError('checkpoint', 'belongs to another run', 'Write to another folder');
  requireSteps(state.step, totalSteps);
  return { state: { ...state, changes: [...state.changes, ...changed] }, checkpoint, changed };
}

/** The hash detects corruption, not tampering, so the counters are validated too. */
function runState(state: Json): RunState {
  if (!isObject(state)) throw new InputError('checkpoint', 'has no state', 'Start again');
  const fields = new Fields(state, 'checkpoint');
  const [step, tokens, numTokens] = ['step', 'tokens', 'numTokens'].map((name) =>
    fields.integer(name, undefined, 0, Number.MAX_SAFE_INTEGER),
  ) as [number, number, number];
  const log = fields.get('log');
  if (!Array.isArray(log) || !log.every(isLogEntry)) throw fields.wrong('log', 'the log of the run');
  const { source, changes } = state;
  if (!areChanges(changes)) throw fields.wrong('changes', 'the changed settings');
  return { step, tokens, numTokens, log, changes, ...(source === undefined ? {} : { source }) };
}

function isLogEntry(entry: unknown): entry is LogEntry & JsonObject {
  if (!isObject(entry) || !isObject(entry.metrics)) return false;
  const { type, step, metrics } = entry;
  const isNumber = (value: unknown) => typeof value === 'number';
  return (type === 'step' || type === 'evaluate') && isNumber(step) && Object.values(metrics).every(isNumber);
}

/** Restores the trained weights from a checkpoint. Throws {@link InputError} if it has others. */
export function restoreParameters(parameters: ParameterStore, checkpoint: Checkpoint): void {
  for (const slab of SAVED) {
    const prefix = `${slab}/`;
    const values = new Map<string, Float32Array>();
    for (const [name, { length }] of parameters.tensors) {
      const found = checkpoint.tensors.get(prefix + name);
      if (found?.length !== length) {
        const what = `has ${found?.length ?? 0} of the ${length} ${slab} of ${quote(name)}`;
        throw new InputError('checkpoint', what, 'Use another copy or start again');
      }
      values.set(name, found);
    }
    parameters.write(slab, values);
  }
}

/** Whether the run was evaluated at its current step. */
function hasEvaluated({ log, step }: RunState): boolean {
  return log.some((entry) => entry.type === 'evaluate' && entry.step === step);
}

/** Whether the run must be evaluated now: at its interval, at its end, or because a stop interrupted an evaluation. */
export function owesEvaluation(
  state: RunState,
  { evalSteps }: { evalSteps: number },
  totalSteps: number,
): boolean {
  const { step } = state;
  const isTime = step >= totalSteps || (step > 0 && isDue(step, evalSteps));
  return isTime && !hasEvaluated(state);
}

/** The progress of a run. */
export function positionOf({
  step,
  tokens,
  numTokens,
}: RunState): Pick<RunState, 'step' | 'tokens' | 'numTokens'> {
  return { step, tokens, numTokens };
}

/**
 * The information in a checkpoint about its run, for a page that shows it or offers to continue; undefined if none was written.
 * Throws {@link InputError} if it is damaged. The trainer checks when it resumes whether it belongs to the run.
 */
export async function readRunState(store: CheckpointStore): Promise<RunState | undefined> {
  const bytes = await store.read();
  if (!bytes) return undefined;
  const { state } = await decodeCheckpoint(bytes, 'checkpoint');
  return runState(state);
}
