/** What stands behind a blind comparison, on the page. */
import { byId, make, setText } from '../shared/dom.ts';
import { messageOf } from '../shared/message-of.ts';
import type { JudgeVotes, MeasuredSide, Unblinded } from './unblinding.ts';
import type { Pairing } from './win-rate.ts';

/** The comparison that is shown: what arrives for another one is not drawn. */
let shown: Promise<Unblinded> | undefined;

/** Says that it is being measured, then shows what was found, or why nothing was. */
export function showUnblinded({ adapter }: Pairing, found: Promise<Unblinded>): void {
  if (shown === found) return;
  shown = found;
  const text = byId('unblinded-text', HTMLElement);
  for (const id of ['unblinded-sides', 'unblinded-judges']) byId(id, HTMLTableElement).hidden = true;
  setText(text, 'Each model writes new drafts of the voted prompts, which are measured.');
  found
    .then((unblinded) => shown === found && draw(adapter, unblinded))
    .catch((error: unknown) => {
      if (shown !== found) return;
      shown = undefined;
      setText(text, messageOf(error));
    });
}

function draw(adapter: string, { sides, judges, missing }: Unblinded): void {
  const gone = missing.map((name) => ` ${name} is no longer here and could not be measured.`).join('');
  const what = `Fresh drafts of the voted prompts at temperature 1. Fluency is the mean log-probability of a token under the model before; distinct-3 the share of different three-token sequences. The judges read the drafts that you voted on; the first model is ${adapter}.`;
  setText(byId('unblinded-text', HTMLElement), `${what}${gone}`);
  byId('unblinded-rows', HTMLTableSectionElement).replaceChildren(...sides.map(sideRow));
  byId('judge-rows', HTMLTableSectionElement).replaceChildren(...judges.map(judgeRow));
  for (const id of ['unblinded-sides', 'unblinded-judges']) byId(id, HTMLTableElement).hidden = false;
}

/** With a true minus. */
const fixed = (value: number) => value.toFixed(2).replace('-', '−');

function sideRow({ name, kl, fluency, distinct3 }: MeasuredSide): HTMLElement {
  const distance = kl ? `${fixed(kl.mean)} ± ${fixed(kl.standardError)} nats` : '0';
  return row(name ?? 'the model before', [distance, fixed(fluency), distinct3.toFixed(3)]);
}

function judgeRow({ judge, wins, losses, undecided, agreed }: JudgeVotes): HTMLElement {
  const decided = wins + losses;
  const of = (count: number) => (decided > 0 ? `${count} of ${decided}` : '–');
  return row(judge, [of(wins), String(undecided), of(agreed)]);
}

function row(name: string, cells: readonly string[]): HTMLElement {
  const head = make('th', '', name);
  head.scope = 'row';
  return make('tr', '', head, ...cells.map((text) => make('td', '', text)));
}
