/**
 * The metrics of a run in the two formats that other tools read: `trainer_state.json` with the fields of transformers'
 * `TrainerState` (5.23), and a table. Both come from the trainer's log, which its checkpoint stores, so a stopped and
 * resumed run writes the same files as an uninterrupted one. They contain no times, which differ from run to run.
 */
import Papa from 'papaparse';
import type { Trainer } from '../train/trainer.ts';
import type { Settings } from './options.ts';
import { METRIC_TABLE, TRAINER_STATE } from './run-folder.ts';

/** The members of a trainer that are read. */
export type Logged = Pick<Trainer, 'config' | 'logHistory' | 'step'>;

/** The state file, and the table if requested, by name. */
export function logFiles(
  trainer: Logged,
  totalSteps: number,
  { logCsv = false }: Pick<Settings, 'logCsv'>,
): Record<string, Uint8Array> {
  const encoder = new TextEncoder();
  const state = `${JSON.stringify(trainerState(trainer, totalSteps), null, 2)}\n`;
  return {
    [TRAINER_STATE]: encoder.encode(state),
    ...(logCsv ? { [METRIC_TABLE]: encoder.encode(metricTable(trainer)) } : {}),
  };
}

/** The fields of transformers' `TrainerState`. A run evaluates and saves at least at its end. */
export function trainerState(trainer: Logged, totalSteps: number): object {
  const { evalSteps, saveSteps, perDeviceTrainBatchSize, numTrainEpochs } = trainer.config;
  const log = logHistory(trainer);
  const last = log.findLast(({ num_tokens: tokens }) => tokens !== undefined);
  return {
    best_global_step: null,
    best_metric: null,
    best_model_checkpoint: null,
    epoch: log.at(-1)?.epoch ?? 0,
    eval_steps: evalSteps > 0 ? evalSteps : totalSteps,
    global_step: trainer.step,
    is_hyper_param_search: false,
    is_local_process_zero: true,
    is_world_process_zero: true,
    log_history: log,
    logging_steps: 1,
    max_steps: totalSteps,
    num_input_tokens_seen: last?.num_tokens ?? 0,
    num_train_epochs: Math.ceil(numTrainEpochs),
    save_steps: saveSteps > 0 ? saveSteps : totalSteps,
    stateful_callbacks: {},
    total_flos: 0,
    train_batch_size: perDeviceTrainBatchSize,
    trial_name: null,
    trial_params: null,
  };
}

type Entry = Record<string, number> & { epoch: number; step: number };

/** An entry for each step and each evaluation, as transformers logs them. */
function logHistory({ logHistory: log }: Pick<Logged, 'logHistory'>): Entry[] {
  const epochs = new Map(log.flatMap((entry) => (entry.type === 'step' ? [[entry.step, entry.epoch]] : [])));
  return log.map(({ step, metrics }) => {
    // JSON has no NaN, so the mean of an empty set is left out.
    const finite = Object.entries(metrics).filter(([, value]) => Number.isFinite(value));
    return { epoch: epochs.get(step) ?? 0, ...Object.fromEntries(finite), step };
  });
}

/** One row per step, with the evaluation after it, and one column per metric. */
export function metricTable(trainer: Pick<Logged, 'logHistory'>): string {
  const rows = new Map<number, Record<string, number>>();
  for (const { step, epoch, ...metrics } of logHistory(trainer)) {
    rows.set(step, { ...(rows.get(step) ?? { step, epoch }), ...metrics });
  }
  const all = [...rows.values()];
  const columns = new Set(['step', 'epoch', ...all.flatMap((row) => Object.keys(row))]);
  return `${Papa.unparse(all, { columns: [...columns], newline: '\n' })}\n`;
}
