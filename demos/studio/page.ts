/**
 * The page: opens the store and the worker, and hands each part what the worker tells. All drawing is in the modules beside this
 * one; nothing here touches the GPU.
 */
import type { Remote } from 'comlink';
import { showAdapter } from '../shared/adapter.ts';
import { byId, setText } from '../shared/dom.ts';
import { openJob } from '../shared/open.ts';
import { Collect } from './collect.ts';
import { Compare } from './compare.ts';
import { ComparisonPlans } from './comparison-plans.ts';
import { Guide } from './guide.ts';
import { HiddenPage } from './hidden-page.ts';
import { Keep } from './keep.ts';
import { wireEverything } from './keep-everything.ts';
import { chooseModel } from './library.ts';
import type { Opened, Phase, StudioJob, Update } from './messages.ts';
import { methodOf } from './methods.ts';
import { ModelTab } from './model-tab.ts';
import { keepPage } from './offline.ts';
import { OnlinePanel } from './online/panel.ts';
import { showPastRuns } from './past-runs.ts';
import { statusText } from './preferences/counts.ts';
import { openPreferences } from './preferences/store.ts';
import { importedPrompts } from './prompt-files.ts';
import { makeTablesReachable } from './reachable.ts';
import { RewardPanel } from './reward/panel.ts';
import { mountTable } from './table.ts';
import { Tabs } from './tabs.ts';
import { Training } from './training.ts';

/** Phases in which there is an adapter that writes and can be taken. */
const WITH_ADAPTER: readonly Phase[] = ['picking', 'training', 'pausing', 'paused', 'done'];

/** Phases in which nothing else uses the GPU for long. */
const WITHOUT_RUN: readonly Phase[] = ['idle', 'paused', 'done', 'failed', 'kept'];

let job: Remote<StudioJob> | undefined;
let opened: Opened | undefined;
/** News of the worker before the page knew what it had opened. */
let early: Update[] | undefined = [];

let pageProblem = '';
const watchHidden = new HiddenPage((text) => training.progress.note(text));

makeTablesReachable();
void keepPage().then((text) => setText(byId('offline-text', HTMLElement), text));
const store = await openPreferences();
const training = new Training(() => job, store);
const collect = new Collect(
  () => job,
  store,
  await importedPrompts(),
  (text) => complain(text),
  () => tabs.shown === 'collect',
  () => online,
);
const online = new OnlinePanel({
  job: () => job,
  store,
  begin: (picks) => training.beginOnline(picks),
  write: () => collect.begin(),
  lock: (isOn) => collect.sampling.drawWhole(isOn),
  complain: (text) => complain(text),
});
const comparisons = await ComparisonPlans.open();
const compare = new Compare({
  job: () => job,
  store,
  plans: comparisons,
  begin: (sides) => {
    collect.compare(sides);
    tabs.show('collect');
  },
});
mountTable(byId('table', HTMLDivElement), store);
const reward = new RewardPanel(() => job, store, {
  onFit: (figures) => training.setReward(figures),
  use: () => {
    training.chooseReward();
    byId('run', HTMLElement).focus();
  },
});
const keep = new Keep(() => job, store);
wireEverything({ store, comparisons }, () => void showRuns());
const guide = new Guide(store);
const modelTab = new ModelTab(() => job);
const tabs = new Tabs((name) => {
  if (name === 'keep') void keep.look();
  compare.show(name === 'compare');
});

/** Says what went wrong, above all tabs; what the store says of itself stands before it. */
function complain(text: string): void {
  pageProblem = text;
  setText(byId('problem', HTMLElement), [store.state().problem, pageProblem].filter(Boolean).join(' '));
}

/** What another tab of the page has changed under this one. */
function tellElsewhere(text: string): void {
  setText(byId('elsewhere', HTMLElement), text);
}

function countPicks(): void {
  setText(byId('count', HTMLElement), statusText(store.state().kept));
  complain(pageProblem);
}

function show(update: Update): void {
  if (!opened) {
    early?.push(update);
    return;
  }
  training.show(update);
  if (update.type === 'run') online.runs(methodOf(update.method).isOnline ?? false);
  if (update.type === 'online') online.show(update.online);
  if (update.type === 'failed') complain(update.message);
  if (update.type !== 'phase') return;
  const { phase, step } = update;
  const hasAdapter = WITH_ADAPTER.includes(phase) && step > 0;
  compare.allow(hasAdapter);
  keep.allow(hasAdapter);
  reward.allow(WITHOUT_RUN.includes(phase));
  guide.enter(phase);
  online.enter(update);
  if (phase === 'done' || phase === 'idle') void showRuns();
  watchHidden.enter(phase);
  document.body.dataset.phase = phase;
}

const showRuns = async () =>
  showPastRuns({
    model: opened?.model.name ?? '',
    goOn: (run) => training.goOnFrom(run),
    onRuns: (runs) => {
      collect.sampling.offerRuns(runs);
      compare.offerRuns(runs);
    },
  });

/** The worker has ended, and everything that it held is lost. */
function loseWorker(why: string, isLate: boolean): void {
  job = undefined;
  training.leave();
  collect.leave();
  online.leave();
  compare.allow(false);
  keep.allow(false);
  reward.allow(false);
  // The model that the page opens with may be the one that keeps it busy.
  if (isLate) void chooseModel(undefined);
  complain(why);
}

// Picks that only this tab has would be lost.
addEventListener('beforeunload', (event) => {
  if (store.state().unsaved > 0) event.preventDefault();
});
store.onElsewhere(tellElsewhere);
store.subscribe(countPicks);
countPicks();
const says = {
  say: (text: string) => training.progress.say(text),
  complain: (text: string) => {
    training.progress.complain(text);
    complain(text);
  },
};
job = await openJob<StudioJob, Update>('studio', show, says, loseWorker);
if (job) {
  opened = await job.opened;
  showAdapter(opened.adapter);
  modelTab.show(opened.model);
  training.ready(opened.model);
  reward.ready(opened.reward);
  for (const update of early ?? []) show(update);
  collect.ready(opened);
  if (opened.problem) complain(opened.problem);
}
early = undefined;
