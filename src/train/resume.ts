/**
 * Whether a run can continue from a checkpoint: model, data and most settings must be the same. How long it runs,
 * how fast it learns from now on, and how it is evaluated and saved may change; each change is recorded with the step before it.
 */
import { own } from '../base/lookup.ts';
import { type Sentence, say, setting } from '../base/sentence.ts';
import type { SettingTable } from '../base/setting.ts';
import { InputError, listed, quote } from '../io/errors.ts';
import { contentHash } from '../io/hash.ts';
import { isObject, type Json, type JsonObject } from '../io/json.ts';
import type { CausalLM } from '../model/causal-lm.ts';
import type { LoraAdapter } from '../model/lora.ts';
import type { TrainingConfig } from './config.ts';
import type { Roles } from './roles.ts';
import { AHEAD } from './settings/losses.ts';
import { TRAINING } from './settings/training.ts';
import type { Task } from './training-task.ts';

/** A setting with a new value from some step on. */
export interface SettingChange {
  /** The last optimizer step before the change. */
  step: number;
  name: string;
  old: Json;
  new: Json;
}

/** The identity of a run, as stored in checkpoints. */
export interface SavedIdentity {
  /** Hashes of the parts that must be the same, by name. */
  parts: Readonly<Record<string, string>>;
  /** Hashes of parts that may change and are too long to be recorded. */
  changeable: Readonly<Record<string, string>>;
  /** All effective settings, including LoRA's. */
  settings: JsonObject;
}

/** The identity of the current run. */
export interface RunIdentity extends SavedIdentity {
  /** Settings that may have other values when the run resumes. */
  mayChange: readonly string[];
}

/** Declarations for trainers that do not provide their own. */
const USUAL: SettingTable = { ...TRAINING, ...AHEAD };

/** The identity of a trainer's run. */
export async function identityOf({
  model,
  adapter,
  config,
  roles,
  task,
}: {
  model: CausalLM;
  adapter: LoraAdapter | undefined;
  config: TrainingConfig;
  roles: Roles;
  task: Pick<Task<TrainingConfig>, 'source' | 'evaluation' | 'settings'>;
}): Promise<RunIdentity> {
  const shapes = [...roles.parameters.tensors].map(([name, { shape }]) => [name, shape]);
  const began = await Promise.all(roles.beside.map((role) => role.began()));
  const declared = Object.entries(task.settings ?? USUAL);
  const saved = await identify(
    { model: [await model.policyHash(), shapes, began], 'training data': task.source.identity },
    { 'evaluation data': task.evaluation.identity },
    { ...config, ...adapter?.config },
  );
  return { ...saved, mayChange: declared.filter(([, each]) => each.mayChange).map(([name]) => name) };
}

/** Hashes the parts; settings become plain JSON. */
async function identify(
  parts: Readonly<Record<string, unknown>>,
  changeable: Readonly<Record<string, unknown>>,
  settings: object,
): Promise<SavedIdentity> {
  const hashed = async (all: Readonly<Record<string, unknown>>) =>
    Object.fromEntries(
      await Promise.all(
        Object.entries(all).map(async ([name, part]) => [
          name,
          await contentHash(JSON.stringify(await part)),
        ]),
      ),
    );
  return {
    parts: await hashed(parts),
    changeable: await hashed(changeable),
    settings: JSON.parse(JSON.stringify(settings)),
  };
}

/** A hash of everything that must be the same, with the settings in the form of a checkpoint if they are given. */
export function hashOfFixed(
  { parts, mayChange, ...identity }: RunIdentity,
  settings = identity.settings,
): Promise<string> {
  const fixed = Object.entries(settings).filter(([name]) => !mayChange.includes(name));
  return contentHash(JSON.stringify([parts, fixed]));
}

/**
 * The changes since a checkpoint was written after `step`. Throws {@link InputError} with the name of a part that must not change, its
 * old value and the new one.
 */
export function changesSince(step: number, before: SavedIdentity, now: RunIdentity): SettingChange[] {
  const names = [...new Set([...Object.keys(before.settings), ...Object.keys(now.settings)])];
  const changes = names.flatMap((name): SettingChange[] => {
    const [old, value] = [own(before.settings, name) ?? null, own(now.settings, name) ?? null];
    return inOneForm(old) === inOneForm(value) ? [] : [{ step, name, old, new: value }];
  });
  const refused = changes.filter(({ name }) => !now.mayChange.includes(name));
  const other = Object.keys(now.parts).filter((name) => own(now.parts, name) !== own(before.parts, name));
  if (refused.length > 0) throw differentSettings(refused);
  if (other.length > 0) {
    const what = `belongs to a run with another ${listed(other, other.length, ', another ')}`;
    throw new InputError('checkpoint', what, 'Resume with the same one, or write to another folder');
  }
  const replaced = Object.entries(now.changeable).flatMap(([name, hash]): SettingChange[] => {
    const old = own(before.changeable, name) ?? null;
    return old === hash ? [] : [{ step, name, old: short(old), new: short(hash) }];
  });
  return [...changes, ...replaced];
}

/** A value for comparison: a list of one loss, as the command line gives it, is the same setting as its name. */
function inOneForm(value: Json): string {
  return JSON.stringify(Array.isArray(value) && value.length === 1 ? value[0] : value);
}

/** A change as text: `learningRate 0.001 → 0.0001`. */
export function changeText({ name, old, new: value }: Omit<SettingChange, 'step'>): Sentence {
  return say`${setting(name)} ${quote(old)} → ${quote(value)}`;
}

/** Throws {@link InputError} if the run would be shorter than its checkpoint. */
export function requireSteps(done: number, totalSteps: number): void {
  if (done <= totalSteps) return;
  const what = `is at step ${done}, but the run ends after ${totalSteps}`;
  throw new InputError('checkpoint', what, say`Raise ${setting('maxSteps')} or ${setting('numTrainEpochs')}`);
}

function differentSettings(refused: readonly SettingChange[]): InputError {
  const [first, ...others] = refused.map(
    ({ name, old, new: value }) => say`${setting(name)} was ${quote(old)} and is now ${quote(value)}`,
  ) as [Sentence, ...Sentence[]];
  const what = others.reduce((all, each) => say`${all}; ${each}`, first);
  return new InputError('checkpoint', what, 'Resume with the old values, or write to another folder');
}

function short(hash: string | null): string | null {
  return hash?.slice(0, 12) ?? null;
}

/** The identity in a checkpoint's state; undefined if it has none. */
export function savedIdentity(saved: Json | undefined): SavedIdentity | undefined {
  if (!isObject(saved)) return undefined;
  const { parts, changeable, settings } = saved;
  const areHashes = (all: unknown) =>
    isObject(all) && Object.values(all).every((hash) => typeof hash === 'string');
  if (!areHashes(parts) || !areHashes(changeable) || !isObject(settings)) return undefined;
  return { parts, changeable, settings } as unknown as SavedIdentity;
}

/** Whether a value is a list of recorded changes. */
export function areChanges(saved: unknown): saved is SettingChange[] {
  return (
    Array.isArray(saved) &&
    saved.every(
      (change) =>
        isObject(change) &&
        Number.isSafeInteger(change.step) &&
        typeof change.name === 'string' &&
        'new' in change,
    )
  );
}
