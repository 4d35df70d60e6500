/**
 * What the page on speed shows, computed from stored results: rows of tables and curves. Arithmetic and Markdown, no prose.
 */
import { formatBytes } from '../../../src/gpu/errors.ts';
import type { Measured, Result } from '../bench.ts';
import type { Book } from '../book.ts';
import { CASES } from '../cases/all.ts';
import { overOurs, straightLine } from '../claims.ts';
import { milliseconds, rate, spread, threeDigits } from '../report.ts';
import { OURS } from '../suite.ts';
import type { Curve } from './plots.ts';

/** A job that peers share. */
export interface Row {
  id: string;
  /** Milliseconds by contestant, for those that could run it. */
  times: Record<string, number>;
}

export function ours(result: Result | undefined): Measured | undefined {
  const own = result?.by[OURS];
  return typeof own === 'object' ? own : undefined;
}

const hasPeers = ({ by }: Result) => Object.keys(by).length > 1;

/** Results in the order of the cases, in whatever order they were measured. */
export function inOrder(results: Book['results']): Result[] {
  return CASES.flatMap(({ id }) => results[id] ?? []);
}

export function sharedJobs({ results }: Book): Result[] {
  return inOrder(results).filter(hasPeers);
}

export function rowOf({ id, by }: Result): Row {
  const times = Object.entries(by).flatMap(([name, each]) =>
    typeof each === 'string' ? [] : [[name, each.median] as const],
  );
  return { id, times: Object.fromEntries(times) };
}

/** A table of Markdown; the first column is text, the others are numbers. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const rule = `|---|${head
    .slice(1)
    .map(() => '---:|')
    .join('')}`;
  return [line(head), rule, ...rows.map(line)].join('\n');
}

/** Libraries that run on the processor, beside ours; empty where none was measured. */
export function processorTable({ results, processor = {} }: Book): string {
  const rows = inOrder(results).flatMap((result) => {
    const own = ours(result);
    const theirs = Object.entries(processor[result.id] ?? {});
    if (!own) return [];
    return theirs.map(([by, time]) => [
      result.id,
      by,
      milliseconds(own.median),
      milliseconds(time),
      `${(time / own.median).toFixed(1)}×`,
    ]);
  });
  if (rows.length === 0) return '';
  return table(['', 'library', OURS, 'library on the processor', 'library / webalign'], rows);
}

export function sharedTable(book: Book): string {
  const peers = Object.keys(book.peers);
  const rows = sharedJobs(book).map((result) => {
    const { id, by } = result;
    const time = (name: string) => {
      const each = by[name];
      if (each === undefined) return '';
      return typeof each === 'string' ? 'cannot' : milliseconds(each.median);
    };
    const bytes = (name: string) => {
      const each = by[name];
      return typeof each === 'object' ? formatBytes(each.peakBytes) : '';
    };
    const ratio = (of: Parameters<typeof overOurs>[1]) => {
      const found = overOurs(result, of);
      return found === undefined ? '' : `${found.toFixed(1)}×`;
    };
    return [
      id,
      ...[OURS, ...peers].map(time),
      ratio(({ median }) => median),
      ratio(({ cpu }) => cpu),
      ...[OURS, ...peers].map(bytes),
      ratio(({ peakBytes }) => peakBytes),
    ];
  });
  const contestants = [OURS, ...peers];
  return table(
    [
      '',
      ...contestants,
      'faster peer',
      'by processor time',
      ...contestants.map((name) => `${name}, most held`),
      'smaller peer',
    ],
    rows,
  );
}

/** Our own cases of some groups, with the share of the peak that they reach. */
export function ownTable({ results, peak }: Book, groups: readonly string[]): string {
  const rows = inOrder(results)
    .filter(({ group }) => groups.includes(group))
    .flatMap((result) => {
      const own = ours(result);
      if (!own) return [];
      const { median, peakBytes, dispatches, first } = own;
      return [
        [
          result.id,
          milliseconds(median),
          `±${(50 * spread(own)).toFixed(0)}%`,
          rate(result.work, median, peak),
          String(dispatches),
          formatBytes(peakBytes),
          milliseconds(first),
        ],
      ];
    });
  return table(
    ['', 'time', 'spread', 'rate (share of peak)', 'dispatches', 'most held', 'first start, beyond'],
    rows,
  );
}

/** What a step's cost is plotted against, by group. */
const GROWTH: readonly (readonly [group: string, axis: string, name: string])[] = [
  ['step by tokens', 'tokens', 'tokens'],
  ['step by pairs', 'pairs', 'pairs'],
  ['step by vocabulary', 'vocabulary', 'vocabulary'],
  ['step by width', 'width', 'width'],
  ['step by rank', 'rank', 'rank of LoRA'],
];
export const GROWTH_GROUPS = GROWTH.map(([group]) => group);

export function growthCurves({ results }: Book): Curve[] {
  return GROWTH.map(([group, axis, name]) => ({
    name,
    points: inOrder(results).flatMap((result): [number, number][] => {
      const own = ours(result);
      return result.group === group && own ? [[result.size[axis], own.median]] : [];
    }),
  })).filter(({ points }) => points.length > 1);
}

/** How a curve grows, one sentence each: the exponent between its two ends. */
export function growthLines(curves: readonly Curve[]): string[] {
  return curves.map(({ name, points }) => {
    const { slope } = straightLine(points.map(([size, time]) => [Math.log(size), Math.log(time)]));
    const [[from], [to]] = [points[0] as [number, number], points.at(-1) as [number, number]];
    return `**${name}**, ${from} to ${to}: the time grows with the exponent ${threeDigits(slope)}`;
  });
}
