/** The table of runs that have ended, with what can be done with each. */
import { byId, make, onPress } from '../shared/dom.ts';
import { downloadAdapter } from '../shared/download.ts';
import { compareRuns } from './compare-runs.ts';
import { adapterOf, deleteRun, type PastRun, pastRuns, renameRun } from './history.ts';
import { methodOf } from './methods.ts';

const number = (value: number, digits: number) => (Number.isFinite(value) ? value.toFixed(digits) : '–');

/** When the runs that are compared were started, the one chosen last behind. */
let compared: number[] = [];

/** What the page does with a run. */
export interface RunActions {
  /** The model of this page: a run can only continue on its own model. */
  model: string;
  goOn(run: PastRun): void;
  /** Those of this model that there are now. */
  onRuns(runs: readonly PastRun[]): void;
}

/** Redraws the table; hides its section where no run has ended yet. `onRuns` of the actions hears which there are. */
export async function showPastRuns(actions: RunActions): Promise<void> {
  const runs = await pastRuns().catch(() => []);
  actions.onRuns(runs.filter(({ model }) => model === actions.model));
  byId('past', HTMLElement).hidden = runs.length === 0;
  byId('past-rows', HTMLTableSectionElement).replaceChildren(...runs.map((run) => rowOf(run, actions)));
  showCompared(runs);
}

/** Draws the runs that are compared. The rows stay, so that the keyboard's focus does. */
function showCompared(runs: readonly PastRun[]): void {
  const chosen = compared.flatMap((startedAt) => runs.filter((run) => run.startedAt === startedAt));
  compared = chosen.map(({ startedAt }) => startedAt);
  for (const box of document.querySelectorAll<HTMLInputElement>('#past-rows [type=checkbox]'))
    box.checked = compared.includes(Number(box.value));
  const [first, second] = chosen;
  compareRuns(first && second ? [first, second] : undefined);
}

function rowOf(run: PastRun, actions: RunActions): HTMLElement {
  const { name, model, rows, step, heldOut } = run;
  const title = make('th', '', nameField(run, actions));
  title.scope = 'row';
  const cells = [String(rows), String(step), number(heldOut.loss, 3), number(heldOut.accuracy, 2)];
  const take = action('Export adapter', name, async () => {
    const files = await adapterOf(run);
    if (files) downloadAdapter(files);
  });
  const remove = action('Delete', name, async () => {
    await deleteRun(run);
    await showPastRuns(actions);
  });
  const goOn = action('Continue', name, async () => actions.goOn(run));
  goOn.hidden = model !== actions.model;
  return make(
    'tr',
    '',
    make('td', '', comparing(run)),
    title,
    make('td', '', model),
    make('td', 'settings', settingsOf(run)),
    ...cells.map((text) => make('td', '', text)),
    make('td', 'row', goOn, take, remove),
  );
}

function settingsOf({ settings, method, policy }: PastRun): string {
  const { beta, learningRate, numTrainEpochs, maxSteps, numGenerations, r } = settings;
  const length = methodOf(method).isPolicy
    ? `${maxSteps} steps, ${numGenerations} drafts`
    : `${numTrainEpochs} epochs`;
  const last = policy?.heldOut.at(-1);
  const figures = last
    ? `; reward ${number(last.reward, 2)}, KL ${number(last.kl, 2)}, gap ${number(last.gap, 2)}`
    : '';
  return `β ${beta}, rate ${learningRate}, ${length}, rank ${r}${figures}`;
}

/** Where a run is given another name. An empty one is not taken. */
function nameField(run: PastRun, actions: RunActions): HTMLInputElement {
  const field = make('input', 'run-name');
  Object.assign(field, { type: 'text', value: run.name, maxLength: 80, required: true });
  field.setAttribute('aria-label', `Name of ${run.name}`);
  field.addEventListener('change', async () => {
    const name = field.value.trim();
    if (name !== '') await renameRun(run, name);
    await showPastRuns(actions);
  });
  return field;
}

/** Whether a run is one of the two that are compared; a third takes the place of the earlier one. */
function comparing({ startedAt, name }: PastRun): HTMLInputElement {
  const box = make('input');
  Object.assign(box, { type: 'checkbox', value: String(startedAt) });
  box.setAttribute('aria-label', `Compare ${name}`);
  box.addEventListener('change', async () => {
    const others = compared.filter((each) => each !== startedAt);
    compared = box.checked ? [...others.slice(-1), startedAt] : others;
    showCompared(await pastRuns());
  });
  return box;
}

function action(label: string, name: string, act: () => Promise<void>): HTMLButtonElement {
  const button = make('button', '', label);
  button.setAttribute('aria-label', `${label}: ${name}`);
  onPress(button, () => void act());
  return button;
}
