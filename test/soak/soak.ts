/** The whole soak: its parts in turn, each with its share of the time, and their results as JSON and as a table. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { random } from '../reference/compare.ts';
import { type FigureFiles, machine, writeFigures } from '../support/figures.ts';
import { cycles } from './cycles.ts';
import { disks, hasDisks } from './disks.ts';
import { folders } from './folders.ts';
import { kills } from './kills.ts';
import type { Part, PartResult } from './part.ts';

export interface SoakOptions {
  seed: number;
  minutes: number;
  /** A few tries of each part, whatever the time. */
  slice: boolean;
  /** Parts by name; by default all of them. */
  only?: readonly string[] | undefined;
  bundle: (name: string) => string;
  /** Where the figures are written as JSON, and the page whose table is updated. */
  keep?: FigureFiles | undefined;
  log: (line: string) => void;
}

export interface SoakResult {
  parts: Record<string, PartResult>;
}

const CYCLES = 200;
/** Shares of the time. */
const PARTS: readonly { part: Part; share: number; isHere?: () => boolean }[] = [
  { part: folders, share: 1 },
  { part: cycles(CYCLES), share: 3, isHere: () => process.platform === 'linux' },
  { part: disks, share: 2, isHere: hasDisks },
  { part: kills, share: 6 },
];

export async function soak({
  seed,
  minutes,
  slice,
  only,
  bundle,
  keep,
  log,
}: SoakOptions): Promise<SoakResult> {
  const start = performance.now();
  const chosen = PARTS.filter(({ part }) => !only || only.includes(part.name));
  const parts: Record<string, PartResult> = {};
  let left = chosen.reduce((sum, { share }) => sum + share, 0);
  for (const { part, share, isHere } of chosen) {
    const milliseconds = ((minutes * 60_000 - (performance.now() - start)) * share) / left;
    left -= share;
    if (isHere && !isHere()) {
      log(`${part.name}: left out, this system does not let a program do it`);
      continue;
    }
    parts[part.name] = await runPart(part, { seed, milliseconds, slice, bundle, log });
    const { tries, failures } = parts[part.name];
    log(`${part.name}: ${tries} tries, ${failures.length} failures`);
    for (const failure of failures) log(`  ${failure}`);
  }
  const result = { parts };
  if (keep) await keepResult(keep, result);
  return result;
}

async function runPart(
  part: Part,
  {
    seed,
    milliseconds,
    slice,
    bundle,
    log,
  }: Pick<SoakOptions, 'seed' | 'slice' | 'bundle' | 'log'> & { milliseconds: number },
): Promise<PartResult> {
  const start = performance.now();
  const wanted = slice ? part.tries.slice : part.tries.whole;
  const folder = await mkdtemp(join(tmpdir(), `webalign-soak-${part.name}-`));
  const failures: string[] = [];
  let tries = 0;
  let figures: PartResult['figures'] = {};
  const own = [...part.name].reduce((sum, letter) => sum * 31 + letter.charCodeAt(0), seed);
  const begun = await part.begin({ random: random(own), slice, folder, bundle, log });
  try {
    while (tries < wanted && (slice || performance.now() - start < milliseconds)) {
      const done = await begun.attempt();
      tries += done.tries;
      failures.push(...done.failures);
      // What fails permanently would fail again and again.
      if (failures.length > 20) break;
      if (slice && done.tries === 0) break;
    }
    figures = begun.figures();
  } finally {
    await begun.end?.();
    await rm(folder, { recursive: true, force: true });
  }
  const seconds = Math.round((performance.now() - start) / 1000);
  return { what: part.what, seed, machine: machine(), wanted, tries, failures, seconds, figures };
}

/** The table of a result. */
export function table({ parts }: SoakResult): string {
  const rows = Object.entries(parts).map(
    ([name, { what, seed, wanted, tries, failures, seconds, figures }]) => {
      const told = Object.entries(figures).map(([key, value]) => `${key}: ${value}`);
      return `| ${name} | ${what} | ${tries} of ${wanted} | ${failures.length} | ${seed} | ${seconds} | ${told.join('; ')} |`;
    },
  );
  return [
    '| part | a try | tries | failures | seed | seconds | figures |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...rows,
    '',
    `On ${[...new Set(Object.values(parts).map(({ machine }) => machine))].join('; ')}.`,
  ].join('\n');
}

/** Parts that did not run keep their figures. */
async function keepResult(keep: FigureFiles, { parts }: SoakResult): Promise<void> {
  const before = await readFile(keep.json, 'utf8').catch(() => '{}');
  const result: SoakResult = { parts: { ...(JSON.parse(before) as Partial<SoakResult>).parts, ...parts } };
  await writeFigures(keep, result, table(result));
}
