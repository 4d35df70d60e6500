/**
 * The charting library as text, for insertion into a page that loads nothing.
 */
import { readFile } from 'node:fs/promises';
import { fileOfDependency } from '../package.ts';

export interface ChartLibrary {
  script: string;
  style: string;
}

export async function chartLibrary(): Promise<ChartLibrary> {
  const read = (name: string) => readFile(fileOfDependency(`uplot/dist/${name}`), 'utf8');
  const [script, style] = await Promise.all([read('uPlot.iife.min.js'), read('uPlot.min.css')]);
  return { script, style };
}
