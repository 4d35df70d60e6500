/**
 * The page: starts the worker, wires what a person does to what the worker offers, and shows what it tells. All drawing
 * is in the modules beside this one; nothing here touches the GPU.
 */
import { proxy, type Remote, wrap } from 'comlink';
import { showAdapter, showNoAdapter } from '../shared/adapter.ts';
import { byId, onPress, setText, setUsable } from '../shared/dom.ts';
import { Charts } from './charts.ts';
import { type Action, Controls } from './controls.ts';
import { downloadAdapter } from './download.ts';
import type { AlignJob, AlignWorker, Opened, Phase, Update } from './messages.ts';
import { Outcome } from './outcome.ts';
import { Progress } from './progress.ts';
import { Tryout } from './tryout.ts';

const HOW_TO_GET_WEBGPU =
  'This page computes on your graphics card through WebGPU, and this browser offers none. Open it in a current Chrome or ' +
  'Edge, in Safari 26 or in Firefox 141 or later; if you are in one of these, turn on hardware acceleration in its ' +
  'settings, update the graphics driver, and reload.';
const HOW_TO_BE_SECURE =
  'Browsers give WebGPU to secure pages only. Open this page over https, or from localhost, and reload.';

/** Phases in which there is an adapter to take. */
const WITH_ADAPTER: readonly Phase[] = ['training', 'paused', 'after', 'done'];

const progress = new Progress();
const charts = new Charts();
const outcome = new Outcome();
const controls = new Controls(act);
const tryout = new Tryout(() => job);
const downloadButton = byId('download', HTMLButtonElement);

let job: Remote<AlignJob> | undefined;
let opened: Opened | undefined;
/** What the worker told before the page knew what it had opened. */
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
    charts.begin(update.totalSteps, update.train, update.heldOut);
  } else if (type === 'plan') {
    charts.setTotal(update.totalSteps);
    progress.plan(update.totalSteps, update.plannedBytes);
  } else if (type === 'progress') progress.share(update.done, update.total);
  else if (type === 'steps') {
    charts.addTraining(update.points);
    progress.pace(update.pace);
    setUsable(downloadButton, true);
  } else if (type === 'heldOut') charts.addHeldOut(update.point);
  else if (type === 'measured') outcome.show(update.side, update.measurement);
  else if (type === 'notice') progress.note(update.text);
  else progress.complain(update.message);
}

function enter(update: Extract<Update, { type: 'phase' }>, { openings, measured, durable }: Opened): void {
  const { phase, step } = update;
  controls.enter(phase);
  progress.enter(update, { measured, durable });
  setUsable(downloadButton, WITH_ADAPTER.includes(phase) && step > 0);
  document.body.dataset.phase = phase;
  const isNew = phase === 'idle' || (phase === 'before' && step === 0);
  if (!isNew) return;
  charts.begin(1, [], []);
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

function welcome({ adapter, parameters, pairs, defaults, openings }: Opened): void {
  showAdapter(adapter);
  setText(byId('parameters', HTMLElement), parameters.toLocaleString('en'));
  setText(byId('pairs', HTMLElement), String(pairs.train));
  controls.show(defaults);
  outcome.layOut(openings);
  tryout.ready(openings);
}

function showMissing(text: string): void {
  setText(byId('missing-text', HTMLElement), text);
  byId('missing', HTMLElement).hidden = false;
  showNoAdapter();
  progress.say('Nothing can run here yet.');
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function open(): Promise<void> {
  if (!window.isSecureContext) return showMissing(HOW_TO_BE_SECURE);
  if (!navigator.gpu) return showMissing(HOW_TO_GET_WEBGPU);
  const worker = new Worker(new URL('worker.js', document.baseURI), { type: 'module', name: 'align' });
  worker.addEventListener('error', (event) => progress.complain(`The worker has failed: ${event.message}`));
  try {
    job = (await wrap<AlignWorker>(worker).open(proxy(show))) as unknown as Remote<AlignJob>;
    opened = await job.opened;
  } catch (error) {
    if (error instanceof Error && error.name === 'NoAdapterError') return showMissing(HOW_TO_GET_WEBGPU);
    return progress.complain(`The page could not be loaded: ${messageOf(error)}`);
  }
  welcome(opened);
  for (const update of early ?? []) show(update);
  early = undefined;
}

onPress(downloadButton, async () => {
  try {
    if (job) downloadAdapter(await job.adapterFiles());
  } catch (error) {
    progress.complain(messageOf(error));
  }
});

await open();
