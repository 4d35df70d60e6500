/** What a run has logged, as transformers' `TrainerState` and as a table. */
import { expect } from 'chai';
import { type Logged, logFiles, metricTable, trainerState } from '../../src/cli/trainer-state.ts';
import { TRAINERS } from '../../src/train/config.ts';
import { defaultsOf } from '../../src/train/settings/trainer.ts';

/** The fields of the dataclass in transformers 5.23: `TrainerState(**json)` takes no other. */
const FIELDS = [
  ...['epoch', 'global_step', 'max_steps', 'logging_steps', 'eval_steps', 'save_steps', 'train_batch_size'],
  ...[
    'num_train_epochs',
    'num_input_tokens_seen',
    'total_flos',
    'log_history',
    'best_metric',
    'best_global_step',
  ],
  ...['best_model_checkpoint', 'is_local_process_zero', 'is_world_process_zero', 'is_hyper_param_search'],
  ...['trial_name', 'trial_params', 'stateful_callbacks'],
];

const step = (at: number, more: Record<string, number> = {}) => ({
  type: 'step' as const,
  step: at,
  epoch: at / 4,
  metrics: { loss: 1 / at, learning_rate: 1e-6, grad_norm: 0.5, num_tokens: 10 * at, ...more },
});

const logged: Logged = {
  config: { ...defaultsOf(TRAINERS.dpo), numTrainEpochs: 0.5, evalSteps: 1, saveSteps: 0 },
  step: 2,
  logHistory: [
    step(1, { 'rewards/margins': Number.NaN }),
    { type: 'evaluate', step: 1, metrics: { eval_loss: 0.7 } },
    step(2, { 'completions/mean, of "all"': 3 }),
    { type: 'evaluate', step: 2, metrics: { eval_loss: 0.6 } },
  ],
};

describe('cli/trainer-state', () => {
  it('has the fields of transformers and no others', () => {
    const state = trainerState(logged, 2) as Record<string, unknown>;
    expect(Object.keys(state)).to.have.members(FIELDS);
    expect(state).to.include({ epoch: 0.5, global_step: 2, max_steps: 2, num_train_epochs: 1 });
    expect(state).to.include({ eval_steps: 1, save_steps: 2, train_batch_size: 8, best_metric: null });
    expect(state.num_input_tokens_seen).to.equal(20);
  });

  it('logs steps and evaluations in order, with their epoch and without values that are not numbers', () => {
    const { log_history: log } = trainerState(logged, 2) as { log_history: object[] };
    expect(log).to.deep.equal([
      { epoch: 0.25, step: 1, loss: 1, learning_rate: 1e-6, grad_norm: 0.5, num_tokens: 10 },
      { epoch: 0.25, step: 1, eval_loss: 0.7 },
      { ...step(2, { 'completions/mean, of "all"': 3 }).metrics, epoch: 0.5, step: 2 },
      { epoch: 0.5, step: 2, eval_loss: 0.6 },
    ]);
  });

  it('is a table with a row for each step and a column for each metric', () => {
    expect(metricTable(logged)).to.equal(
      'step,epoch,loss,learning_rate,grad_norm,num_tokens,eval_loss,"completions/mean, of ""all"""\n' +
        '1,0.25,1,0.000001,0.5,10,0.7,\n2,0.5,0.5,0.000001,0.5,20,0.6,3\n',
    );
  });

  it('writes the table on request', () => {
    expect(Object.keys(logFiles(logged, 2, {}))).to.deep.equal(['trainer_state.json']);
    expect(Object.keys(logFiles(logged, 2, { logCsv: true }))).to.deep.equal([
      'trainer_state.json',
      'log.csv',
    ]);
  });
});
