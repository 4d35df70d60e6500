/** Reads the charting library from where npm has put it. */
import { readFile } from 'node:fs/promises';
import { fileOfDependency } from '../package.ts';
import type { ChartLibrary } from './chart-library.ts';

export async function chartLibrary(): Promise<ChartLibrary> {
  const read = (name: string) => readFile(fileOfDependency(`uplot/dist/${name}`), 'utf8');
  const [script, style] = await Promise.all([read('uPlot.iife.min.js'), read('uPlot.min.css')]);
  return { script, style };
}
