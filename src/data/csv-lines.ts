/**
 * Splits CSV text into cells, with Papa Parse. If the first line ends with "\n" or "\r\n", lines end with either; if it
 * ends with "\r" alone, all lines do: pandas leaves a "\r" within a line.
 */
import Papa from 'papaparse';
import { InputError } from '../io/errors.ts';

/** A row of the table: its cells and the line number in the text at which it starts. */
export interface Line {
  cells: string[];
  number: number;
}

const NEW_LINE = '\n';
const RETURN = '\r';

/**
 * The lines that are not empty, at most `most` of them unless that is 0. Throws {@link InputError} with the line of a
 * malformed cell.
 */
export function csvLines(text: string, file: string, delimiter: string, most = 0): Line[] {
  const newline = /\r\n|\n|\r/.exec(text)?.[0] === RETURN ? RETURN : NEW_LINE;
  const isPaired = newline === NEW_LINE && text.includes(RETURN + NEW_LINE);
  const lines: Line[] = [];
  let number = 1;
  let counted = 0;
  Papa.parse<string[]>(text, {
    delimiter,
    newline,
    step: ({ data: cells, errors: [error], meta: { cursor } }, parser) => {
      if (error) {
        const wayOut = 'Write a double quote inside a quoted cell twice, and close every quoted cell';
        throw new InputError(`${file}, line ${number}`, `is not valid: ${error.message}`, wayOut);
      }
      const last = cells.at(-1) ?? '';
      if (isPaired && last.endsWith(RETURN)) cells[cells.length - 1] = last.slice(0, -1);
      if (cells.length > 1 || cells[0] !== '') lines.push({ cells, number });
      for (; counted < cursor; counted++) if (text[counted] === newline) number++;
      if (most > 0 && lines.length === most) parser.abort();
    },
  });
  return lines;
}
