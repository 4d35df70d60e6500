/** How the rest of a run is passed to TRL: rows and rates of every step, and which state of the optimizer is passed on. */
import { expect } from 'chai';
import { planOf } from '../../src/cli/trl-going-on.ts';
import { trainingScript } from '../../src/cli/trl-script.ts';
import { TRL_TRAINERS } from '../../src/cli/trl-trainers.ts';
import { examplesOfStep } from '../../src/train/order.ts';
import { learningRate, scheduleOf } from '../../src/train/schedule.ts';

const SETTINGS = {
  lrSchedulerType: 'linear',
  learningRate: 0.01,
  numTrainEpochs: 3,
  warmupRatio: 0.1,
  perDeviceTrainBatchSize: 4,
  seed: 7,
} as const;
const ROWS = 10;
/** Three epochs of three steps. */
const STEPS = 9;

const train = { rows: Array.from({ length: ROWS }, (_, i) => ({ i })) };
const order = { examples: ROWS, stepSize: 4, seed: 7, shuffle: true };
const schedule = scheduleOf({ ...SETTINGS, maxSteps: 0, warmupSteps: 0 }, 3);

describe('a run that is continued in TRL', () => {
  it('uses the remaining rows and learning rates', () => {
    const plan = planOf({ method: 'dpo', settings: SETTINGS, train, step: 4 });
    expect(plan.step).to.equal(4);
    expect(plan.batches).to.deep.equal([5, 6, 7, 8, 9].map((step) => [...examplesOfStep(order, step)]));
    expect(plan.learning_rates).to.deep.equal([5, 6, 7, 8, 9].map((step) => learningRate(schedule, step)));
    expect(plan.batches.slice(0, 2).flat()).to.have.length(6);
  });

  it('starts a new run after a finished one, in the order of the next epochs, with a new optimizer', () => {
    const plan = planOf({ method: 'dpo', settings: SETTINGS, train, step: STEPS });
    expect(plan.step).to.equal(0);
    expect(plan.batches[0]).to.deep.equal([...examplesOfStep(order, STEPS + 1)]);
    expect(plan.learning_rates).to.deep.equal(
      Array.from({ length: STEPS }, (_, i) => learningRate(schedule, i + 1)),
    );
  });

  it('keeps the row order of KTO', () => {
    const { batches } = planOf({ method: 'kto', settings: SETTINGS, train, step: 0 });
    expect(batches.slice(0, 3)).to.deep.equal([
      [0, 1, 2, 3],
      [4, 5, 6, 7],
      [8, 9],
    ]);
  });

  it('says in the script which part of the optimizer state is exported', () => {
    const script = trainingScript('dpo', TRL_TRAINERS.dpo, {
      hasAdapter: true,
      hasIds: true,
      settings: 'settings.json',
      goesOn: true,
    });
    expect(script).to.include('both moments of AdamW').and.include('class GoingOn(DPOTrainer):');
    expect(script).to.match(/from peft import PeftModel, set_peft_model_state_dict\n/);
  });
});
