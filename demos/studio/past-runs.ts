/** The table of runs that have ended, with what can be done with each. */
import { byId, make, onPress } from '../shared/dom.ts';
import { downloadAdapter } from '../shared/download.ts';
import { adapterOf, deleteRun, type PastRun, pastRuns } from './history.ts';

const number = (value: number, digits: number) => (Number.isFinite(value) ? value.toFixed(digits) : '–');

/** Draws the table anew; hides its section where no run has ended yet. */
export async function showPastRuns(): Promise<void> {
  const runs = await pastRuns().catch(() => []);
  byId('past', HTMLElement).hidden = runs.length === 0;
  byId('past-rows', HTMLTableSectionElement).replaceChildren(...runs.map(rowOf));
}

function rowOf(run: PastRun): HTMLElement {
  const { name, model, settings, rows, step, heldOut } = run;
  const title = make('th', '', name);
  title.scope = 'row';
  const set = `β ${settings.beta}, rate ${settings.learningRate}, ${settings.numTrainEpochs} epochs, rank ${settings.r}`;
  const cells = [
    model,
    set,
    String(rows),
    String(step),
    number(heldOut.loss, 3),
    number(heldOut.accuracy, 2),
  ];
  const take = action('Export adapter', name, async () => {
    const files = await adapterOf(run);
    if (files) downloadAdapter(files);
  });
  const remove = action('Delete', name, async () => {
    await deleteRun(run);
    await showPastRuns();
  });
  return make('tr', '', title, ...cells.map((text) => make('td', '', text)), make('td', 'row', take, remove));
}

function action(label: string, name: string, act: () => Promise<void>): HTMLButtonElement {
  const button = make('button', '', label);
  button.setAttribute('aria-label', `${label}: ${name}`);
  onPress(button, () => void act());
  return button;
}
