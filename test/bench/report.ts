/**
 * Measurements as text: a line each for a terminal, and the numbers as all reports of the bench show them.
 */
import { formatBytes } from '../../src/gpu/errors.ts';
import type { Measured, Peak, Result, Work } from './bench.ts';
import type { Verdict } from './claims.ts';
import { OURS } from './suite.ts';

/** `1.23 ms`, `45.6 ms`, `1.20 s`. */
export function milliseconds(value: number): string {
  return value >= 1000 ? `${threeDigits(value / 1000)} s` : `${threeDigits(value)} ms`;
}

export function threeDigits(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

/** Operations or bytes per second, and the share of the peak. */
export function rate({ flop, bytes, tokens }: Work, ms: number, peak: Peak): string {
  const parts = [];
  const gflops = (flop ?? 0) / ms / 1e6;
  const gbytes = (bytes ?? 0) / ms / 1e6;
  const share = (of: number) => `${(100 * of).toFixed(0)}%`;
  if (flop) parts.push(`${inUnits(gflops, 'GFLOP/s', 'TFLOP/s')} (${share(gflops / peak.gflops)})`);
  else if (bytes) parts.push(`${inUnits(gbytes, 'GB/s', 'TB/s')} (${share(gbytes / peak.gbytes)})`);
  if (tokens) parts.push(`${threeDigits((1000 * tokens) / ms)} tokens/s`);
  return parts.join(', ');
}

function inUnits(value: number, small: string, large: string): string {
  return value >= 1000 ? `${threeDigits(value / 1000)} ${large}` : `${threeDigits(value)} ${small}`;
}

/** The distance between the quartiles, as a share of the median. */
export function spread({ quartiles: [low, high], median }: Measured): number {
  return (high - low) / median;
}

export function resultLines({ id, by, work, differences }: Result, peak: Peak): string[] {
  return Object.entries(by).map(([name, each]) => {
    const head = `${(name === OURS ? id : `  ${name}`).padEnd(38)}`;
    if (typeof each === 'string') return `${head} ${each}`;
    const { median, cpu, first, peakBytes, dispatches, submits } = each;
    const cells = [
      milliseconds(median).padStart(9),
      `±${(50 * spread(each)).toFixed(0)}%`.padStart(5),
      cpu === null ? '' : `cpu ${milliseconds(cpu)}`.padStart(12),
      rate(work, median, peak).padEnd(36),
      formatBytes(peakBytes).padStart(10),
      `${dispatches} dispatches, ${submits} submits, first +${milliseconds(first)}`,
      differences[name] === undefined ? '' : `off by ${differences[name].toExponential(0)}`,
    ];
    return `${head} ${cells.join(' ')}`.trimEnd();
  });
}

export function verdictLine({ claim, found, holds }: Verdict): string {
  const word = holds === undefined ? 'not run' : holds ? 'holds' : 'DOES NOT HOLD';
  return `${word.padEnd(14)} ${claim}: ${found}`;
}
