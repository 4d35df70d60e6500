/** The figures of a run of the fuzzer: inputs, the most that one took, findings, and the lines that they reached. */
import { counted } from '../../src/base/counted.ts';

export interface FuzzResult {
  seed: number;
  /** The time that was divided among the targets. */
  minutes: number;
  machine: string;
  targets: Record<string, TargetFigures>;
  /** Lines of the readers, by folder of the sources. */
  rooms: Record<string, { lines: number; reached: number }>;
}

export interface TargetFigures {
  inputs: number;
  /** Inputs that reached new code. */
  kept: number;
  findings: number;
  seconds: number;
  /** The most that one input took: seconds of CPU time, and memory above the start. */
  mostSeconds: number;
  mostMebibytes: number;
}

export function targetLine(
  name: string,
  { inputs, kept, findings, mostSeconds, mostMebibytes }: TargetFigures,
): string {
  return `${name}: ${inputs} inputs, ${kept} kept, at most ${mostSeconds} s and ${mostMebibytes} MiB, ${findings} findings`;
}

/** Inputs and findings of all targets together. */
export function totals({ targets }: FuzzResult): { inputs: number; findings: number } {
  const add = (of: 'inputs' | 'findings') =>
    Object.values(targets).reduce((sum, figures) => sum + figures[of], 0);
  return { inputs: add('inputs'), findings: add('findings') };
}

export function roomLines({ rooms }: FuzzResult): string[] {
  return Object.entries(rooms).map(
    ([room, { lines, reached }]) =>
      `${room}: ${reached} of ${lines} lines (${((100 * reached) / Math.max(1, lines)).toFixed(1)} %)`,
  );
}

/** The figures as a table for a page. */
export function table(result: FuzzResult): string {
  const { inputs, findings } = totals(result);
  const rows = Object.entries(result.targets).map(
    ([name, { inputs, kept, findings, seconds, mostSeconds, mostMebibytes }]) =>
      `| ${name} | ${inputs} | ${kept} | ${seconds} | ${mostSeconds} | ${mostMebibytes} | ${findings} |`,
  );
  return [
    '| target | inputs | inputs that reached new code | seconds | maximum CPU seconds per input | maximum MiB per input | findings |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...rows,
    '',
    `${inputs} inputs, ${findings} findings, in ${counted(result.minutes, 'minute')} from seed ${result.seed}. Reached: ${roomLines(result).join('; ')}.`,
    `On ${result.machine}.`,
  ].join('\n');
}
