/**
 * A run against the reward model, in the worker: the best possible objective before the first step, and the adapters of evaluated steps,
 * which can be compared later. Knows neither page nor phases.
 */
import { writeAdapter } from 'webalign/models';
import { weighedRewards } from 'webalign/rollouts';
import type { RunState, Trainer } from 'webalign/trainers';
import { policyHistory } from '../../shared/policy-run.ts';
import { drawReference } from '../../shared/reference-stories.ts';
import type { StudioKept, StudioRecord } from '../record.ts';
import type { Runtime } from '../runtime.ts';
import type { PolicyCurves, PolicyRecord } from './curves.ts';
import { heldOutPrompts } from './trainer.ts';

/** Seconds for the scores of a batch. */
const PATIENCE = 600;

export const newPolicyRecord = (): PolicyRecord => ({ snapshots: [] });

/** Whether the best possible objective is still to be estimated, which takes held-out prompts. */
export const owesOptimum = ({ policy, lesson }: StudioRecord): boolean =>
  policy !== undefined && !policy.reference && lesson.heldOut.length > 0;

/**
 * Estimates the best possible objective from the policy before its first step, which is the reference. Rejects with the signal's reason.
 */
export async function measureOptimum(
  runtime: Runtime,
  record: StudioRecord,
  { signal, onProgress }: { signal: AbortSignal; onProgress: (done: number, total: number) => void },
): Promise<NonNullable<PolicyRecord['reference']>> {
  const { settings, heldOut } = record.lesson;
  const prompts = heldOutPrompts(heldOut);
  const [reward] = weighedRewards([runtime.learned]);
  if (!reward) throw new Error('A run on rollouts has a reward model.');
  return drawReference(runtime, {
    prompts: prompts.map((prompt) => (typeof prompt === 'string' ? prompt : [...prompt])),
    ids: prompts.map((prompt) => runtime.encode(prompt)),
    reward,
    beta: settings.beta,
    seed: settings.seed,
    maxNewTokens: settings.maxCompletionLength,
    around: (work) => work(),
    timeout: PATIENCE,
    signal,
    onProgress,
  });
}

/** Everything known of the run so far; undefined for a run on rows. */
export function policyCurves(
  { policy }: Pick<StudioRecord, 'policy'>,
  state: RunState | undefined,
): PolicyCurves | undefined {
  if (!policy) return undefined;
  const { train, heldOut } = policyHistory(state?.log);
  const { reference } = policy;
  return {
    train,
    heldOut: reference ? [reference.point, ...heldOut] : heldOut,
    optimum: reference?.optimum,
  };
}

/** Keeps the adapter of an evaluated step; nothing for a run on rows. */
export async function keepSnapshot(
  { runtime, kept }: { runtime: Runtime; kept: StudioKept },
  record: StudioRecord,
  { adapter }: Trainer,
  step: number,
): Promise<void> {
  const { policy } = record;
  if (!policy || !adapter) return;
  const files = writeAdapter(await runtime.turns.run(() => adapter.toAdapter()));
  const others = policy.snapshots.filter((each) => each.step < step);
  record.policy = { ...policy, snapshots: [...others, { step, files }] };
  await kept.writeRecord(record);
}
