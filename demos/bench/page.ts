/**
 * The page: lets the user select cases, starts and stops them, and shows results. All measurements run in the worker;
 * nothing here touches the GPU.
 */

import { proxy, type Remote, wrap } from 'comlink';
import { counted } from '../../src/base/counted.ts';
import type { Book } from '../../test/bench/book.ts';
import { threeDigits } from '../../test/bench/report.ts';
import type { BenchEvent } from '../../test/bench/suite.ts';
import { showAdapter, showNoAdapter } from '../shared/adapter.ts';
import { byId, make, onPress, setText, setUsable } from '../shared/dom.ts';
import { startWorker } from '../shared/worker.ts';
import { addBar, clearBars } from './bars.ts';
import type { BenchWorker, Opened } from './messages.ts';

const start = byId('start', HTMLButtonElement);
const stop = byId('stop', HTMLButtonElement);
const copy = byId('copy', HTMLButtonElement);
const status = byId('status', HTMLElement);
const quick = byId('quick', HTMLInputElement);
const groups = byId('groups', HTMLElement);

let latest: Book | undefined;

const chosen = () =>
  [...groups.querySelectorAll<HTMLInputElement>('input:checked')].map(({ value }) => value);

function show(event: BenchEvent, book: Book | undefined): void {
  latest = book;
  if (event.type === 'adapter') {
    const { gflops, gbytes } = event.peak;
    setText(
      byId('peak', HTMLElement),
      `At most ${threeDigits(gflops)} GFLOP/s and ${threeDigits(gbytes)} GB/s here`,
    );
  } else if (event.type === 'start') setText(status, `${event.id} (${event.done + 1} of ${event.total}) …`);
  else if (event.type === 'result' && book) addBar(event.result, book.peak);
  else if (event.type === 'left out') {
    byId('left', HTMLElement).append(make('li', '', `${event.id} was skipped:  ${event.reason}`));
  }
}

async function run(worker: Remote<BenchWorker>): Promise<void> {
  setUsable(start, false);
  setUsable(stop, true);
  clearBars();
  byId('left', HTMLElement).replaceChildren();
  setText(status, 'Measuring the peak performance of this adapter …');
  try {
    await worker.run({ groups: chosen(), quick: quick.checked }, proxy(show));
    const count = Object.keys(latest?.results ?? {}).length;
    setText(status, `Done: ${counted(count, 'case')}.`);
  } catch (error) {
    setText(status, error instanceof Error ? error.message : String(error));
  }
  setUsable(stop, false);
  setUsable(copy, latest !== undefined);
  tellChoice();
}

function tellChoice(): void {
  for (const label of groups.querySelectorAll<HTMLElement>('label')) {
    const count = Number(quick.checked ? label.dataset.quick : label.dataset.cases);
    setText(label.querySelector('small')!, String(count));
    label.dataset.empty = String(count === 0);
  }
  setUsable(start, chosen().length > 0);
}

function offer({ adapter, groups: offered }: Opened): void {
  showAdapter(adapter);
  for (const group of offered) {
    const box = make('input');
    Object.assign(box, { type: 'checkbox', value: group.name, checked: true });
    const label = make('label', 'choice', box, make('span', '', group.name), make('small'));
    Object.assign(label.dataset, { quick: String(group.quick), cases: String(group.cases) });
    groups.append(label);
  }
  setText(status, 'Ready.');
  tellChoice();
}

async function open(): Promise<void> {
  const worker = wrap<BenchWorker>(startWorker('bench'));
  try {
    offer(await worker.open());
  } catch (error) {
    setText(byId('missing-text', HTMLElement), error instanceof Error ? error.message : String(error));
    byId('missing', HTMLElement).hidden = false;
    showNoAdapter();
    return;
  }
  groups.addEventListener('change', tellChoice);
  quick.addEventListener('change', tellChoice);
  onPress(start, () => void run(worker));
  onPress(stop, () => {
    setText(status, 'Stopping after this case …');
    void worker.stop();
  });
  onPress(copy, async () => {
    await navigator.clipboard.writeText(JSON.stringify(latest, null, 1));
    setText(status, 'Copied.');
  });
}

void open();
