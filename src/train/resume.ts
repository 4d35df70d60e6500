/**
 * Whether a run may go on from a checkpoint: what it is must be the same, model, data and most settings. How long it goes on,
 * how fast it learns from here, and how it is judged and kept may change; each change is recorded with the step it came after.
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

/** A setting that has another value from a step on. */
export interface SettingChange {
  /** The optimizer step after which it came. */
  step: number;
  name: string;
  old: Json;
  new: Json;
}

/** What a run is, as checkpoints keep it. */
export interface SavedIdentity {
  /** Hashes of what must be the same, by what it is. */
  parts: Readonly<Record<string, string>>;
  /** The same for what may change and is too long to be recorded. */
  changeable: Readonly<Record<string, string>>;
  /** All settings as they are in force, LoRA's with them. */
  settings: JsonObject;
}

/** The same of a run that is there. */
export interface RunIdentity extends SavedIdentity {
  /** Settings that the run may go on with other values of. */
  mayChange: readonly string[];
}

/** Settings of trainers that do not give theirs. */
const USUAL: SettingTable = { ...TRAINING, ...AHEAD };

/** What a trainer's run is. */
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

/** A hash of what must be the same. */
export function hashOfFixed({ parts, settings, mayChange }: RunIdentity): Promise<string> {
  const fixed = Object.entries(settings).filter(([name]) => !mayChange.includes(name));
  return contentHash(JSON.stringify([parts, fixed]));
}

/**
 * What has changed since a checkpoint was written after `step`. Throws {@link InputError} that names what must not change, its
 * old value and the new one.
 */
export function changesSince(step: number, before: SavedIdentity, now: RunIdentity): SettingChange[] {
  const names = [...new Set([...Object.keys(before.settings), ...Object.keys(now.settings)])];
  const changes = names.flatMap((name): SettingChange[] => {
    const [old, value] = [own(before.settings, name) ?? null, own(now.settings, name) ?? null];
    return JSON.stringify(old) === JSON.stringify(value) ? [] : [{ step, name, old, new: value }];
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

/** A change in a few words: `learningRate 0.001 → 0.0001`. */
export function changeText({ name, old, new: value }: Omit<SettingChange, 'step'>): Sentence {
  return say`${setting(name)} ${quote(old)} → ${quote(value)}`;
}

/** Throws {@link InputError} for a run that is to be shorter than its checkpoint. */
export function requireSteps(done: number, totalSteps: number): void {
  if (done <= totalSteps) return;
  const what = `stands at step ${done}, and the run ends after ${totalSteps}`;
  throw new InputError('checkpoint', what, say`Raise ${setting('maxSteps')} or ${setting('numTrainEpochs')}`);
}

function differentSettings(refused: readonly SettingChange[]): InputError {
  const [first, ...others] = refused.map(
    ({ name, old, new: value }) => say`${setting(name)} was ${quote(old)} and is ${quote(value)}`,
  ) as [Sentence, ...Sentence[]];
  const what = others.reduce((all, each) => say`${all}; ${each}`, first);
  return new InputError('checkpoint', what, 'Resume with the old values, or write to another folder');
}

function short(hash: string | null): string | null {
  return hash?.slice(0, 12) ?? null;
}

/** The identity that a checkpoint's state holds; undefined for one that has none. */
export function savedIdentity(saved: Json | undefined): SavedIdentity | undefined {
  if (!isObject(saved)) return undefined;
  const { parts, changeable, settings } = saved;
  const areHashes = (all: unknown) =>
    isObject(all) && Object.values(all).every((hash) => typeof hash === 'string');
  if (!areHashes(parts) || !areHashes(changeable) || !isObject(settings)) return undefined;
  return { parts, changeable, settings } as unknown as SavedIdentity;
}

/** Whether these are changes that a run has recorded. */
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
