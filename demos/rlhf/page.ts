/**
 * The page: starts the worker, connects controls to its requests, and shows its updates. The other modules in this folder
 * draw; nothing here touches the GPU.
 */
import { type Remote, transfer } from 'comlink';
import { showAdapter } from '../shared/adapter.ts';
import { type Action, Controls, RUNNING } from '../shared/controls.ts';
import { byId, onPress, setText, setUsable } from '../shared/dom.ts';
import { downloadAdapter } from '../shared/download.ts';
import { messageOf } from '../shared/message-of.ts';
import { openJob } from '../shared/open.ts';
import { PolicyCharts } from '../shared/policy-charts.ts';
import type { Optimum } from '../shared/policy-run.ts';
import { Judge, openFrame } from './judge.ts';
import type { JudgePort, Numbers, Opened, Phase, RlhfJob, StagePhase, Update } from './messages.ts';
import { RlhfProgress } from './progress.ts';
import { Questions } from './questions.ts';
import { RewardChoice } from './reward-choice.ts';
import { choiceOf } from './rewards.ts';
import { Rollouts } from './rollouts.ts';

/** Phases in which there is an adapter to download, and those in which the typed function is called. */
const WITH_ADAPTER: readonly Phase[] = ['training', 'paused', 'done'];
const RATING: readonly Phase[] = ['reference', 'training', 'pausing'];
const FIELDS: readonly (keyof Numbers)[] = [
  'beta',
  'learningRate',
  'maxSteps',
  'numGenerations',
  'promptsPerStep',
  'r',
  'seed',
];

const NO_LINE = 'The dashed line comes with the first stories.';

const progress = new RlhfProgress();
const charts = new PolicyCharts();
const rollouts = new Rollouts();
const controls = new Controls<StagePhase, keyof Numbers>(
  FIELDS,
  { judging: RUNNING, 'reward-model': RUNNING, reference: RUNNING },
  act,
);
const betaField = byId('set-beta', HTMLInputElement);
const frame = openFrame();
const choice = new RewardChoice(frame, (beta) => {
  betaField.value = String(beta);
});
const questions = new Questions((answer) => void job?.answer(answer));
const best = byId('best', HTMLElement);
const downloadButton = byId('download', HTMLButtonElement);

let job: Remote<RlhfJob> | undefined;
let opened: Opened | undefined;
/** Runs the typed function during a run that uses it. */
let judge: Judge | undefined;
/** Updates that arrived before the page knew what was opened. */
let early: Update[] | undefined = [];

function show(update: Update): void {
  if (!opened) {
    early?.push(update);
    return;
  }
  const { type } = update;
  if (type === 'phase') enter(update);
  else if (type === 'run') {
    controls.show(update.settings);
    choice.show(update.settings);
    showTrueKey();
    charts.goOn(update.totalSteps, update.optimum, update.train, update.heldOut);
    tellBest(update.optimum);
  } else if (type === 'plan') {
    charts.setTotal(update.totalSteps);
    progress.plan(update.totalSteps, update.plannedBytes);
  } else if (type === 'progress') progress.share(update.done, update.total);
  else if (type === 'question') questions.ask(update.question);
  else if (type === 'fitted') choice.tell(update.pairs, update.accuracy);
  else if (type === 'optimum') {
    charts.setOptimum(update.optimum);
    charts.addHeldOut(update.point);
    tellBest(update.optimum);
  } else if (type === 'writing') rollouts.progress(update.step, update.share);
  else if (type === 'rollout') rollouts.add(update.rollout);
  else if (type === 'steps') {
    for (const point of update.points) charts.addTraining(point);
    progress.pace(update.pace);
    setUsable(downloadButton, true);
  } else if (type === 'heldOut') charts.addHeldOut(update.point);
  else if (type === 'notice') progress.note(update.text);
  else progress.complain(update.message);
}

function enter(update: Extract<Update, { type: 'phase' }>): void {
  const { phase, step } = update;
  controls.enter(phase);
  progress.enter(update);
  setUsable(downloadButton, WITH_ADAPTER.includes(phase) && step > 0);
  questions.show(phase === 'judging');
  document.body.dataset.phase = phase;
  if (!RATING.includes(phase)) {
    closeJudge();
    rollouts.quiet();
  }
  if (phase === 'idle') clear();
}

/** Removes the previous run. */
function clear(): void {
  charts.begin(1);
  rollouts.clear();
  tellBest(undefined);
  showTrueKey();
}

/** Explains the line of the best policy. */
function tellBest(optimum: Optimum | undefined): void {
  if (!optimum) {
    setText(best, NO_LINE);
    return;
  }
  const { mean, standardError, effectiveSamples } = optimum;
  const number = (value: number, digits: number) => value.toFixed(digits).replace('-', '−');
  const few = effectiveSamples < 5 ? ' These are few, so the true value is higher.' : '';
  setText(
    best,
    `β log Z is at least ${number(mean, 2)} ± ${number(standardError, 2)} on the held-out prompts: such estimates ` +
      `are biased downwards. The original model's stories have ${number(effectiveSamples, 1)} effective samples of the best policy per prompt.${few}`,
  );
}

async function act(action: Action): Promise<void> {
  if (!job) return;
  try {
    if (action === 'start') await start(job);
    else if (action === 'resume') await job.resume(await askJudge());
    else await job[action]();
  } catch (error) {
    closeJudge();
    progress.complain(messageOf(error));
  }
}

async function start(job: Remote<RlhfJob>): Promise<void> {
  const numbers = controls.read();
  if (!numbers) return;
  const port = await askJudge();
  clear();
  await job.start({ ...numbers, ...choice.read() }, port);
}

/** Starts the typed function, if that is the reward, and creates a port for the worker. */
async function askJudge(): Promise<JudgePort | undefined> {
  const { reward, code } = choice.read();
  closeJudge();
  if (reward !== 'typed') return undefined;
  judge = await Judge.open(await frame, code);
  const port = judge.port();
  return transfer(port, [port.port]);
}

/** The AFINN curve is shown if the reward learned from it. */
function showTrueKey(): void {
  byId('true-key', HTMLElement).hidden = choiceOf(choice.read().reward).learnedFrom !== 'pairs';
}

function closeJudge(): void {
  judge?.close();
  judge = undefined;
}

function welcome(opened: Opened): void {
  const { adapter, parameters, defaults, examples } = opened;
  showAdapter(adapter);
  setText(byId('parameters', HTMLElement), parameters.toLocaleString('en'));
  progress.welcome(opened);
  controls.show(defaults);
  choice.ready(examples);
  choice.show(defaults);
}

onPress(downloadButton, async () => {
  try {
    if (job) downloadAdapter(await job.adapterFiles());
  } catch (error) {
    progress.complain(messageOf(error));
  }
});

/** The browser has ended the worker, and its state is lost. */
function loseWorker(why: string): void {
  job = undefined;
  controls.leave();
  setUsable(downloadButton, false);
  progress.complain(why);
}

job = await openJob<RlhfJob, Update>('rlhf', show, progress, loseWorker);
if (job) {
  opened = await job.opened;
  welcome(opened);
  for (const update of early ?? []) show(update);
}
early = undefined;
