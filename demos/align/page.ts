/**
 * The page: starts the worker, connects controls to its requests, and shows its updates. The other modules in this folder
 * draw; nothing here touches the GPU.
 */
import type { Remote } from 'comlink';
import { showAdapter } from '../shared/adapter.ts';
import { type Action, CLOSING, Controls, RUNNING } from '../shared/controls.ts';
import { byId, onPress, setText, setUsable } from '../shared/dom.ts';
import { downloadAdapter } from '../shared/download.ts';
import { messageOf } from '../shared/message-of.ts';
import { openJob } from '../shared/open.ts';
import { AlignCharts } from './charts.ts';
import type { AlignJob, Opened, Phase, Settings, StagePhase, Update } from './messages.ts';
import { Outcome } from './outcome.ts';
import { AlignProgress } from './progress.ts';
import { Tryout } from './tryout.ts';

/** Phases in which there is an adapter to download. */
const WITH_ADAPTER: readonly Phase[] = ['training', 'paused', 'after', 'done'];
const FIELDS: readonly (keyof Settings)[] = [
  'beta',
  'learningRate',
  'numTrainEpochs',
  'perDeviceTrainBatchSize',
  'r',
  'seed',
];

const progress = new AlignProgress();
const charts = new AlignCharts();
const outcome = new Outcome();
const controls = new Controls<StagePhase, keyof Settings>(
  FIELDS,
  { before: RUNNING, reference: RUNNING, after: CLOSING },
  act,
);
const tryout = new Tryout(() => job);
const downloadButton = byId('download', HTMLButtonElement);

let job: Remote<AlignJob> | undefined;
let opened: Opened | undefined;
/** Updates that arrived before the page knew what was opened. */
let early: Update[] | undefined = [];

function show(update: Update): void {
  if (!opened) {
    early?.push(update);
    return;
  }
  const { type } = update;
  if (type === 'phase') enter(update, opened);
  else if (type === 'run') {
    controls.show(update.settings);
    charts.goOn(update.totalSteps, update.train, update.heldOut);
  } else if (type === 'plan') {
    charts.setTotal(update.totalSteps);
    progress.plan(update.totalSteps, update.plannedBytes);
  } else if (type === 'progress') progress.share(update.done, update.total);
  else if (type === 'steps') {
    for (const point of update.points) charts.addPoint('train', point);
    progress.pace(update.pace);
    setUsable(downloadButton, true);
  } else if (type === 'heldOut') charts.addPoint('held', update.point);
  else if (type === 'measured') outcome.show(update.side, update.measurement);
  else if (type === 'advice') outcome.advise(update.lines);
  else if (type === 'notice') progress.note(update.text);
  else progress.complain(update.message);
}

function enter(update: Extract<Update, { type: 'phase' }>, { openings }: Opened): void {
  const { phase, step } = update;
  controls.enter(phase);
  progress.enter(update);
  setUsable(downloadButton, WITH_ADAPTER.includes(phase) && step > 0);
  document.body.dataset.phase = phase;
  const isNew = phase === 'idle' || (phase === 'before' && step === 0);
  if (!isNew) return;
  charts.begin(1);
  outcome.clear(openings);
}

async function act(action: Action): Promise<void> {
  if (!job) return;
  try {
    if (action !== 'start') return await job[action]();
    const settings = controls.read();
    if (settings) await job.start(settings);
  } catch (error) {
    progress.complain(messageOf(error));
  }
}

function welcome({ adapter, parameters, pairs, defaults, openings, measured }: Opened): void {
  showAdapter(adapter);
  setText(byId('parameters', HTMLElement), parameters.toLocaleString('en'));
  setText(byId('pairs', HTMLElement), String(pairs.train));
  controls.show(defaults);
  progress.measured = measured;
  outcome.layOut(openings);
  tryout.ready(openings);
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
  tryout.leave();
  setUsable(downloadButton, false);
  progress.complain(why);
}

job = await openJob<AlignJob, Update>('align', show, progress, loseWorker);
if (job) {
  opened = await job.opened;
  welcome(opened);
  for (const update of early ?? []) show(update);
}
early = undefined;
