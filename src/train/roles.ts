/**
 * The models that train in a run, as roles of one base that take turns: the policy, and models that learn from the same
 * examples, such as a value model. A role has an adapter, a scorer, and a loss on the scorer's output. All roles share one
 * parameter store, so that clipping, the optimizer and checkpoints work for any number of them.
 */
import { say, setting } from '../base/sentence.ts';
import { formatBytes, MemoryCapError } from '../gpu/errors.ts';
import { InputError } from '../io/errors.ts';
import { toFloat32Bytes } from '../io/float.ts';
import { contentHash } from '../io/hash.ts';
import type { LoraArgs, LoraConfig } from '../io/lora-settings.ts';
import type { Adapter } from '../io/peft.ts';
import { shortNames } from '../io/target-modules.ts';
import type { TrainingLoss } from '../losses/family.ts';
import type { CausalLM } from '../model/causal-lm.ts';
import { adapterParameters, freshAdapter, type LoraAdapter } from '../model/lora.ts';
import { type ParameterSpec, type ParameterStore, SLABS } from '../tensor/parameters.ts';
import { logprobs, type Scorer, type ScorerKind } from './scorer.ts';
import { resolveLoraConfig } from './settings/resolve.ts';

/** A role other than the policy. */
export interface RoleKind {
  /** The name of its adapter, and the prefix of its parameters' names. */
  name: string;
  scorer: ScorerKind;
  loss: TrainingLoss;
  /** Weight of its loss; the policy's is 1. */
  weight: number;
  /** Its initial weights; by default a new adapter like the policy's, and a random head. */
  start?: RoleStart | undefined;
}

/** The weights of a role that was trained before, such as a reward model's as initial values. */
export interface RoleStart {
  adapter: Adapter;
  /** (d) weights of its scorer's head. */
  head: Float32Array;
}

export interface Role {
  scorer: Scorer;
  loss: TrainingLoss;
  weight: number;
  /** Undefined for a policy whose own weights train. */
  adapter: LoraAdapter | undefined;
  /** Runs synchronous work with the base in this role, and restores the adapters. */
  play<T>(work: () => T): T;
}

/** A role other than the policy. */
export interface SideRole extends Role {
  adapter: LoraAdapter;
  /** Hash of its initial weights: a part of the run's hash. */
  began(): Promise<string>;
}

/** The inputs of {@link castRoles}. */
export interface Casting {
  model: CausalLM;
  peftConfig: LoraArgs | Adapter | null | undefined;
  seed: number;
  policy: { scorer?: ScorerKind; loss: TrainingLoss; temperature?: number };
  beside?: readonly RoleKind[] | undefined;
}

export interface Roles {
  policy: Role;
  beside: readonly SideRole[];
  /** All trained parameters. */
  parameters: ParameterStore;
}

/**
 * Adds the adapters of all roles to the model, with all but the policy's switched off. Throws {@link InputError} if there is
 * nothing to train, or if a head or a further role has no adapter.
 */
export function castRoles({ model, peftConfig = {}, seed, policy, beside = [] }: Casting): Roles {
  const { loss, temperature, scorer = logprobs(temperature) } = policy;
  const heads = scorer.parameters(model, seed);
  if (!peftConfig) {
    if (heads.length > 0 || beside.length > 0)
      throw new InputError(
        'settings',
        'a head needs an adapter, but none was requested',
        'Pass a peftConfig',
      );
    const parameters = trainedWeights(model);
    const own = scorer.create(model, parameters);
    return {
      policy: { scorer: own, loss, weight: 1, adapter: undefined, play: (work) => work() },
      beside: [],
      parameters,
    };
  }
  const settings = loraConfig(model, peftConfig);
  if (!continues(peftConfig)) requireRoom(model, settings, 1 + beside.length);
  // Each uses its own seed.
  const others = beside.map((kind, i) => {
    const start = kind.start?.adapter ?? newAdapter(model, settings, seed + i + 1);
    const head = kind.scorer.parameters(model, seed + i + 1).map((spec) => begun(spec, kind));
    return { kind, start, prefix: `${kind.name}.`, head };
  });
  const specs = others.flatMap(({ start, prefix, head }) => [
    ...adapterParameters(start, prefix),
    ...head.map((spec) => ({ ...spec, name: prefix + spec.name })),
  ]);
  const first = continues(peftConfig) ? peftConfig : newAdapter(model, settings, seed);
  const adapter = model.attach(first, { trainable: true, beside: [...heads, ...specs] });
  const parameters = adapter.parameters!;
  const attached = others.map(({ kind: { name }, start, prefix }) => {
    const other = model.attach(start, { name, within: { parameters, prefix } });
    other.enabled = false;
    return other;
  });
  const all = [adapter, ...attached];
  return {
    policy: {
      scorer: scorer.create(model, parameters),
      loss,
      weight: 1,
      adapter,
      play: (work) => playing(all, adapter, work),
    },
    beside: others.map(({ kind: { scorer, loss, weight }, prefix, head }, i) => {
      const own = attached[i];
      const get = (name: string) => parameters.get(prefix + name);
      const play = <T>(work: () => T) => playing(all, own, work);
      const began = async () =>
        contentHash(await own.hash(), ...head.map(({ values }) => toFloat32Bytes(values)));
      return { scorer: scorer.create(model, { get }), loss, weight, adapter: own, play, began };
    }),
    parameters,
  };
}

/** Throws like {@link castRoles} for a new adapter with these settings, but creates none. */
export function checkFreshAdapter(model: CausalLM, peftConfig: LoraArgs): void {
  requireRoom(model, loraConfig(model, peftConfig), 1);
}

function begun(spec: ParameterSpec, { name, start }: RoleKind): ParameterSpec {
  if (!start) return spec;
  const { length } = spec.values;
  if (start.head.length === length) return { ...spec, values: start.head };
  const what = `has ${start.head.length} weights, but hidden states have ${length} elements`;
  throw new InputError(`the initial head of ${name}`, what, 'Use one that was made for this model');
}

function playing<T>(all: readonly LoraAdapter[], own: LoraAdapter, work: () => T): T {
  const before = all.map(({ enabled }) => enabled);
  for (const adapter of all) adapter.enabled = adapter === own;
  try {
    return work();
  } finally {
    for (const [i, adapter] of all.entries()) adapter.enabled = before[i];
  }
}

/** Throws before `count` new adapters allocate host memory if the device has no room for them. */
function requireRoom(model: CausalLM, { r, targetModules }: LoraConfig, count: number): void {
  const { gpu } = model;
  const widths = [...model.targets(targetModules).values()].reduce(
    (sum, { in: a, out: b }) => sum + a + b,
    0,
  );
  const bytes = 4 * r * widths * count;
  const needed = gpu.memory().live + SLABS.length * bytes;
  const wayOut = 'Lower the LoRA rank, adapt fewer modules, or raise the memory cap';
  if (needed > gpu.pool.cap) throw new MemoryCapError(needed, gpu.pool.cap, `LoRA of rank ${r}`, wayOut);
  const most = gpu.limits.maxStorageBufferBindingSize;
  if (bytes <= most) return;
  const what = say`${setting('r')} is ${r}: the adapter takes ${formatBytes(bytes)}, more than this device's largest buffer of ${formatBytes(most)}`;
  throw new InputError('settings', what, 'Lower it, or adapt fewer modules');
}

/** Whether an adapter is given rather than settings for a new one. */
export function continues(peftConfig: LoraArgs | Adapter | null | undefined): peftConfig is Adapter {
  return !!peftConfig && 'weights' in peftConfig;
}

function loraConfig(model: CausalLM, peftConfig: LoraArgs | Adapter): LoraConfig {
  if (continues(peftConfig)) return peftConfig.config;
  return resolveLoraConfig(peftConfig, shortNames(model.linears.keys()));
}

function newAdapter(model: CausalLM, settings: LoraConfig, seed: number): Adapter {
  const { name, revision } = model;
  const fresh = freshAdapter(settings, model.targets(settings.targetModules), name, seed);
  return { ...fresh, ...(revision !== undefined && { baseRevision: revision }) };
}

/** All weights of a model that was loaded for training. */
function trainedWeights({ parameters, name }: CausalLM): ParameterStore {
  if (parameters) return parameters;
  const wayOut = 'Load it with { trainable: true }, or pass a peftConfig';
  throw new InputError(name, 'was loaded frozen, and no adapter was requested', wayOut);
}
