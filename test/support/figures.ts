/** Figures of long runs: a JSON file, and a table between two comments of the page beside it. */
import { readFile, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';

const [BEGIN, END] = ['<!-- figures -->', '<!-- end of figures -->'];

/** Where figures are written: as JSON, and into the page whose table is updated. */
export interface FigureFiles {
  json: string;
  page: string;
}

export async function writeFigures<T>({ json, page }: FigureFiles, figures: T, table: string): Promise<void> {
  const text = await readFile(page, 'utf8');
  const [head, rest] = text.split(BEGIN);
  const after = rest?.split(END)[1];
  if (after === undefined) throw new Error(`${page} has no ${BEGIN} … ${END} for the table.`);
  await writeFile(json, `${JSON.stringify(figures, null, 2)}\n`);
  await writeFile(page, `${head}${BEGIN}\n${table}\n${END}${after}`);
}

/** The machine that the figures were measured on. */
export function machine(): string {
  return `${cpus().length} × ${cpus()[0]?.model ?? 'an unknown processor'}, Node ${process.version}`;
}
