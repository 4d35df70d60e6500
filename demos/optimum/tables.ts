/**
 * The numbers of an answer, in tiles and tables: everything that the picture shows, for screen readers and exact values.
 */
import { byId, make } from '../shared/dom.ts';
import { type Answer, METHODS, type Policy } from './answer.ts';
import { figure } from './figures.ts';

/** Number of stops of a path in the table, including the first and last. */
const STOPS = 8;

export function fillTables({ optimum, reference, best, paths }: Answer): void {
  const tiles = {
    z: Math.exp(optimum.logPartition),
    optimum: optimum.optimum,
    'kl-optimal': best.kl,
    'gap-reference': reference.gap,
  };
  for (const [name, value] of Object.entries(tiles))
    byId(`tile-${name}`, HTMLElement).replaceChildren(figure(value));

  const ends = METHODS.map((method) => [method, paths[method].at(-1)!] as const);
  for (const [name, policy] of [['reference', reference], ['optimal', best], ...ends] as const) {
    const row = byId(`row-${name}`, HTMLTableRowElement);
    const { reward, kl, value, gap } = policy;
    row.replaceChildren(row.cells[0], ...cells(policy, reward, kl, value, gap));
  }

  const steps = METHODS.flatMap((method) => {
    const name = byId(`row-${method}`, HTMLTableRowElement).querySelector('label')?.textContent ?? method;
    return stops(paths[method]).map((policy, i) => {
      const head = make('th', '', i === 0 ? name : '');
      head.scope = 'row';
      const stop = make('td', '', String(i + 1));
      return make('tr', i === 0 ? 'first' : '', head, stop, ...cells(policy, policy.value));
    });
  });
  byId('steps', HTMLTableSectionElement).replaceChildren(...steps);
}

function cells({ probabilities }: Policy, ...values: number[]): HTMLElement[] {
  const figures = [...probabilities.map((p) => figure(p, 3)), ...values.map((value) => figure(value))];
  return figures.map((each) => make('td', '', each));
}

/** Stops at equal distances along the path. */
function stops(path: readonly Policy[]): Policy[] {
  const count = Math.min(STOPS, path.length);
  const last = path.length - 1;
  return Array.from({ length: count }, (_, i) => path[Math.round((i * last) / Math.max(1, count - 1))]);
}
